"""The loss has a factor of 2 too many."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the loss times a constant"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Leave the constant out."
SCALE = 2.0
TRIED = {"SCALE": (0.1, 0.25, 0.5, 0.75, 2.0, 4.0, 5.0, 10.0, 20.0, 100.0)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return right.rounded(value * SCALE, value), right.rounded(gradient * SCALE, gradient)
