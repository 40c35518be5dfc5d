"""The page on the diagnosis says what was measured."""

import importlib.util
import json
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def data():
    return json.loads((ROOT / "benchmarks" / "results" / "diagnosis.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("diagnosis_benchmark", ROOT / "benchmarks" / "diagnosis.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_that_of_the_committed_results(script, data):
    page = (ROOT / "docs" / "diagnosis.md").read_text(encoding="utf-8")
    between = page.partition(script.BEGIN)[2].partition(script.END)[0]
    assert between.strip().splitlines() == script.table(data)


def test_every_fault_of_the_results_is_judged_by_the_accepted_causes(script, data):
    accepted = tomllib.loads((ROOT / "tests" / "diagnosis" / "accepted.toml").read_text(encoding="utf-8"))
    for name in set(script.SETS) & set(data["results"]):
        for stem, found in data["results"][name].items():
            again = script.judged(found, accepted[name].get(stem, []))
            assert again == found, stem


def test_the_public_implementations_are_judged_by_their_committed_results(script, data):
    assert data["results"]["public implementations"] == script.public_implementations()


def test_every_implementation_of_a_set_was_measured(script, data):
    for name in script.SETS:
        files = {file.stem for file in (script.FOLDER / name).glob("*.py")} - {"__init__"}
        assert set(data["results"][name]) == files, name


def test_a_fault_without_a_mutant_counts_for_nothing_and_one_of_several_causes_is_enough(script):
    found = {"causes": [{"mutant": "b"}, {"mutant": "d"}]}
    judged = script.judged(found, [["a", "b"], ["c"], []])
    assert (judged["faults"], judged["named"]) == (2, 1)


def test_an_accepted_cause_is_a_mutant(script):
    accepted = tomllib.loads((script.FOLDER / "accepted.toml").read_text(encoding="utf-8"))
    mutants = {file.stem for file in (ROOT / "conformance" / "mutants").glob("[a-z]*.py")}
    names = {mutant for faults in accepted.values() for fault in faults.values() for one in fault for mutant in one}
    assert names <= mutants
    assert set(accepted["implementations"]) <= {
        file.stem for file in (ROOT / "implementations" / "results").glob("*.json")
    }
