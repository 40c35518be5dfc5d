"""The bounds hold: a quick measurement each time, and what the full one found, which is stored with the benchmarks."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def benchmark():
    """benchmarks/accuracy.py as a module; benchmarks are no package."""
    specification = importlib.util.spec_from_file_location("accuracy_benchmark", BENCHMARKS / "accuracy.py")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


accuracy = benchmark()


def rows_of(case):
    """Run all pieces of a case in this process."""
    tallies = {name: accuracy.Tally() for name in case.quantities}
    for task in accuracy.tasks(case):
        for name, tally in accuracy.run(task)[1].items():
            tallies[name].merge(tally)
    return accuracy.report(case, tallies)


@pytest.mark.parametrize("case", accuracy.quick_cases(), ids=lambda case: case.label)
def test_the_largest_error_is_within_its_bound(case):
    for row in rows_of(case):
        assert not row["exceeded"], row
        assert row["count"] == case.count


@pytest.fixture(scope="module")
def full():
    return json.loads((BENCHMARKS / "results" / "accuracy.json").read_text(encoding="utf-8"))


def test_the_stored_full_measurement_found_no_bound_exceeded(full):
    assert full["measurements"]
    for row in full["measurements"]:
        assert row["maximum"] <= row["bound"], row
        assert not row["exceeded"], row


@pytest.mark.parametrize("gamma", accuracy.GAMMAS)
@pytest.mark.parametrize("quantity", ["value", "gradient"])
def test_the_stored_full_measurement_has_seen_every_float32_margin(full, gamma, quantity):
    rows = [
        row
        for row in full["measurements"]
        if (row["format"], row["precision"], row["alpha"], row["target"], row["quantity"], row["gamma"])
        == ("float32", "exact", None, 1, quantity, gamma)
    ]
    assert max(row["count"] for row in rows) == accuracy.MARGINS > 10**8
    # Results that are not correctly rounded: some in a hundred million at most.
    assert max(row["not_correctly_rounded"] for row in rows) < 100


MUTANTS = {
    "one ulp too large": lambda value: np.nextafter(value, np.array(np.inf, value.dtype)),
    "zero": np.zeros_like,
    "NaN": lambda value: np.full_like(value, np.nan),
    "of the other sign": np.negative,
}


@pytest.mark.parametrize("inputs", ["margins", "random"])
@pytest.mark.parametrize("mutant", MUTANTS)
def test_the_measurement_notices_results_that_are(monkeypatch, inputs, mutant):
    results = accuracy._results

    def mutated(case, logits, targets):
        return {name: MUTANTS[mutant](result) for name, result in results(case, logits, targets).items()}

    monkeypatch.setattr(accuracy, "_results", mutated)
    for row in rows_of(accuracy.Case("float32", 2.0, inputs, 4096)):
        assert row["exceeded"]
        assert row["not_correctly_rounded"] > 0


def test_the_measurement_notices_a_single_wrong_result_among_many(monkeypatch):
    results = accuracy._results

    def mutated(case, logits, targets):
        found = results(case, logits, targets)
        found["value"][12_345] = np.nextafter(found["value"][12_345], np.float32(np.inf))
        return found

    monkeypatch.setattr(accuracy, "_results", mutated)
    value, gradient = rows_of(accuracy.Case("float32", 2.0, "margins", 1 << 15))
    assert value["exceeded"]
    assert value["not_correctly_rounded"] == 1
    assert not gradient["exceeded"]


def test_the_strided_margins_keep_both_signs_and_the_ends():
    case = accuracy.Case("float32", 2.0, "margins", 1001)
    logits = np.concatenate([logits for task in accuracy.tasks(case) for logits, _ in accuracy._blocks(task)])
    assert logits.dtype == np.float32
    assert abs(logits[0]) == 2.0**-22
    assert 100.0 < abs(logits[-1]) <= 104.5
    assert 400 < np.count_nonzero(logits > 0.0) < 600
    assert np.unique(logits).size == 1001
