"""The result is a list, or for one element a Python float, in the place of an array."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "lists of Python numbers"
REQUIREMENT = "FL-SHP-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Return an array of the library."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Any:
    value, gradient = right.loss(logits, targets, **options)
    return value.tolist(), gradient
