"""The sigmoid is 1 / (1 + e^x), or the logits are those of the other class."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the sigmoid of -x"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "p = 1 / (1 + e^-x)."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(-logits, targets, **options)
    return value, -gradient
