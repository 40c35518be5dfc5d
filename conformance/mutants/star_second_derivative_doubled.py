"""The second derivative has a factor of 2 too many."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "twice the second derivative of FL*"
REQUIREMENT = "FL-STAR-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "It is gamma p_t* (1 - p_t*)."


def second_derivative(logits: Array, targets: Array, *, function: str, **options: Any) -> Array:
    result = right.second_derivative(logits, targets, function=function, **options)
    return 2 * result if function == "star_loss" else result
