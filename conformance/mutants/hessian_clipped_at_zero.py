"""Negative second derivatives set to 0.

Below a margin of -2.79 the second derivative of gamma = 2 is negative, and what is returned is 0: Newton steps divide
by the ridge alone.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "negative second derivatives set to 0"
REQUIREMENT = "FL-GRAD-006"
SEEN = ("several public implementations",)
ADVICE = "Return the second derivative, and handle its sign where steps are made."


def second_derivative(logits: Array, targets: Array, *, function: str, **options: Any) -> Array:
    result = right.second_derivative(logits, targets, function=function, **options)
    return np.maximum(result, 0) if function == "loss" else result
