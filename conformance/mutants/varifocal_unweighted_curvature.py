"""p (1 - p) without the factor t."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "the second derivative of positives without their quality"
REQUIREMENT = "FL-REL-007"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply by the target."


def second_derivative(logits: Array, targets: Array, *, function: str, **options: Any) -> Array:
    result = right.second_derivative(logits, targets, function=function, **options)
    if function != "varifocal_loss":
        return result
    p, q = right.sigmoid(logits)
    return np.where(targets > 0, right.rounded(p * q, logits), result)
