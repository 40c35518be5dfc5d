"""p (1 - p), times the focal weight, stands for the second derivative of the focal loss."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "the second derivative of the cross entropy"
REQUIREMENT = "FL-GRAD-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "Differentiate the focal gradient."


def second_derivative(logits: Array, targets: Array, *, function: str, **options: Any) -> Array:
    if function != "loss":
        return right.second_derivative(logits, targets, function=function, **options)
    t = right.terms(logits, targets, options.get("alpha", 0.25), options.get("gamma", 2.0))
    return right.rounded(t.weight * t.factor * t.p * t.q, logits)
