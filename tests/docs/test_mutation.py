"""docs/mutation.md is what the record of the mutation run gives, and no survivor is left without a test or a reason."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "mutation.json"
MODULES = ROOT / "benchmarks" / "mutation" / "modules.toml"


def modules():
    return json.loads(RESULTS.read_text())["modules"]


def test_the_page_is_that_of_the_record_and_every_survivor_has_a_test_or_a_reason():
    check = [sys.executable, str(ROOT / "benchmarks" / "mutation" / "page.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_counts_of_each_file_add_up():
    for file, module in modules().items():
        assert (
            module["killed"] + module["timed_out"] + len(module["survivors"]) == module["tried"] <= module["mutants"]
        ), file


def test_every_file_that_was_tried_is_named_with_its_tests_and_exists():
    named = {module["file"]: module["tests"] for module in tomllib.loads(MODULES.read_text())["module"]}
    assert set(modules()) <= set(named)
    assert all((ROOT / file).exists() for file in named)
    assert all((ROOT / test).exists() for tests in named.values() for test in tests if test.startswith("tests/"))


@pytest.mark.parametrize(
    "test", sorted({s["closed_by"] for module in modules().values() for s in module["survivors"] if s["closed_by"]})
)
def test_the_test_that_finds_a_survivor_exists(test):
    path, _, name = test.partition("::")
    function = re.escape(name.partition("[")[0].rpartition("::")[2])
    assert re.search(rf"^ *def {function}\(", (ROOT / path).read_text(), re.MULTILINE)
