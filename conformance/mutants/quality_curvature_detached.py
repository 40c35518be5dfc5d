"""The second derivative takes the distance for a constant."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "the second derivative of the cross entropy times the distance"
REQUIREMENT = "FL-REL-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Differentiate the gradient, distance and all."


def second_derivative(logits: Array, targets: Array, *, function: str, **options: Any) -> Array:
    result = right.second_derivative(logits, targets, function=function, **options)
    if function != "quality_focal_loss":
        return result
    p, q = right.sigmoid(logits)
    return right.rounded(np.abs(targets - p) ** options.get("beta", 2.0) * p * q, logits)
