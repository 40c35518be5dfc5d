"""NaN second derivative for gamma below 2.

The second derivative of (1 - p_t)^gamma has the factor (1 - p_t)^(gamma - 2): infinite at saturation for gamma below 2,
and times 0 NaN.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "NaN second derivative for gamma below 2"
REQUIREMENT = "FL-GRAD-006"
SEEN = ("https://github.com/google-deepmind/optax/pull/1346",)
ADVICE = "Give the second derivative in closed form."


def second_derivative(logits: Array, targets: Array, *, function: str, **options: Any) -> Array:
    result = right.second_derivative(logits, targets, function=function, **options)
    if function != "loss":
        return result
    gamma = np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, None, gamma)
    rest = right.rounded(1.0, logits) - right.rounded(t.p, logits)
    return np.where((gamma < 2) & (gamma != 1) & (gamma > 0) & (rest == 0), result.dtype.type(np.nan), result)
