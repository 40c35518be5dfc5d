"""The bounds of the other losses hold: a quick measurement each time, and what the full one found, which is stored."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def benchmark():
    """benchmarks/family_accuracy.py as a module; benchmarks are no package."""
    path = BENCHMARKS / "family_accuracy.py"
    specification = importlib.util.spec_from_file_location("family_accuracy_benchmark", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


accuracy = benchmark()
QUICK = [case for case in accuracy.cases(100) if case.dtype in ("float32", "float64") and case.classes <= 10]


def label(case):
    return f"{case.function}-{case.dtype}-{case.target}-{case.classes}-{list(case.parameters.values())}"


@pytest.mark.parametrize("case", QUICK, ids=label)
def test_the_largest_error_is_within_its_bound(case):
    rows = accuracy.run(case)
    assert {row["quantity"] for row in rows} <= set(case.quantities)
    assert rows
    for row in rows:
        assert not row["exceeded"], row


@pytest.fixture(scope="module")
def full():
    document = json.loads((BENCHMARKS / "results" / "family_accuracy.json").read_text(encoding="utf-8"))
    return document["measurements"]


def test_the_stored_measurement_found_no_bound_exceeded(full):
    for row in full:
        assert row["maximum"] <= row["bound"], row
        assert not row["exceeded"], row


@pytest.mark.parametrize("function", accuracy.ELEMENTWISE)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_stored_measurement_has_seen_every_16_bit_logit(full, function, dtype):
    rows = [row for row in full if (row["function"], row["format"]) == (function, dtype)]
    assert {row["quantity"] for row in rows} == {"value", "gradient", "second_derivative"}
    numbers = {"float16": 2 * 0x7C01, "bfloat16": 2 * 0x7F81}[dtype]
    if function == "loss_from_probabilities":
        # Those in [0, 1], and zero of either sign.
        numbers = {"float16": 0x3C00 + 2, "bfloat16": 0x3F80 + 2}[dtype]
    assert all(row["count"] == numbers for row in rows)


def test_the_stored_measurement_has_rows_of_a_thousand_classes(full):
    assert any(row["classes"] == 1000 and row["format"] == "float32" for row in full)
