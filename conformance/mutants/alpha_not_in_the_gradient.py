"""The hand-written gradient is that of the unweighted loss."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha in the value and not in the gradient"
REQUIREMENT = "FL-GRAD-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply the derivative by alpha_t as well."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value = right.loss(logits, targets, **options)[0]
    return value, right.loss(logits, targets, **{**options, "alpha": None})[1]
