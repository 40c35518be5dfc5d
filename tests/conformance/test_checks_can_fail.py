"""No check passes everything: targets that compute nothing fail all that has to do with numbers."""

import numpy as np
import pytest

from focal_ref.conformance.gate import Item, run_item
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.targets.libraries import PlainLibrary
from focal_ref.conformance.targets.python import PythonTarget

NUMBERS = [
    *(f"FL-VAL-{number:03}" for number in range(1, 6)),
    *(f"FL-VAL-{number:03}" for number in range(7, 10)),
    *(f"FL-GRAD-{number:03}" for number in range(1, 5)),
    "FL-EXT-001",
    "FL-EXT-002",
    "FL-EXT-003",
    "FL-EXT-004",
]
ONCE = ("FL-VAL-007", "FL-VAL-009")


def constant_target(number):
    def both(logits, targets, *, alpha, gamma):
        result = np.full(np.shape(logits), number, dtype=logits.dtype)
        return result, result.copy()

    def value(logits, targets, **options):
        return both(logits, targets, **options)[0]

    return PythonTarget("constant", value, load_profile("built-in"), PlainLibrary("numpy", None, ""), both)


@pytest.mark.parametrize("number", [0.0, 1.0, np.nan])
@pytest.mark.parametrize("requirement", NUMBERS)
def test_a_constant_fails(requirement, number):
    item = Item(requirement, "" if requirement in ONCE else "float32")
    result = run_item(item, constant_target(number), "pytest conformance")
    assert result.comparisons > 0
    if (requirement, str(number)) == ("FL-EXT-003", "nan"):
        pass  # NaN for a NaN logit is right; beside it, a constant NaN equals itself
    else:
        assert not result.passed


def test_shapes_that_do_not_fit_are_found():
    result = run_item(Item("FL-SHP-002"), constant_target(0.0), "pytest conformance")
    assert not result.passed
