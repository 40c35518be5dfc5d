"""The second derivative has a factor of 2 too many."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "twice the second derivative of the heatmap loss"
REQUIREMENT = "FL-REL-014"
SEEN = ("nobody has reported it yet",)
ADVICE = "Check it against differences of the gradient."


def second_derivative(logits: Array, targets: Array, *, function: str, **options: Any) -> Array:
    result = right.second_derivative(logits, targets, function=function, **options)
    return 2 * result if function == "heatmap_focal_loss" else result
