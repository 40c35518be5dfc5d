"""The hand-written gradient has the wrong sign: every step raises the loss."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the gradient has the wrong sign"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "The derivative of a positive is negative."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return value, -gradient
