"""Negative second derivatives lose their sign."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "the absolute value of the second derivative"
REQUIREMENT = "FL-GRAD-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "Return the second derivative, and handle its sign where steps are made."


def second_derivative(logits: Array, targets: Array, *, function: str, **options: Any) -> Array:
    result = right.second_derivative(logits, targets, function=function, **options)
    return np.abs(result) if function == "loss" else result
