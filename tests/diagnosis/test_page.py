"""The page on the diagnosis says what was measured."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("diagnosis_benchmark", ROOT / "benchmarks" / "diagnosis.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_that_of_the_committed_results(script):
    data = json.loads((ROOT / "benchmarks" / "results" / "diagnosis.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "diagnosis.md").read_text(encoding="utf-8")
    between = page.partition(script.BEGIN)[2].partition(script.END)[0]
    assert between.strip().splitlines() == script.table(data)


def test_every_fault_of_the_results_is_judged_by_the_accepted_causes(script):
    import tomllib

    data = json.loads((ROOT / "benchmarks" / "results" / "diagnosis.json").read_text(encoding="utf-8"))
    accepted = tomllib.loads((ROOT / "tests" / "diagnosis" / "accepted.toml").read_text(encoding="utf-8"))
    for name in script.SETS:
        for stem, found in data["results"][name].items():
            again = script.judged(found, accepted[name].get(stem, []))
            assert again == found, stem
