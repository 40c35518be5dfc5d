"""A boosting objective that is NaN for confident margins.

The gradient of the boosting objective takes log(1 - p) of a rounded p: at y = 0 and x >= 37, in float32 x >= 17, it is
NaN.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a boosting objective that is NaN for confident margins"
REQUIREMENT = "FL-GRAD-003"
SEEN = (
    "imbalance-xgboost",
    "imlightgbm",
)
ADVICE = "Take the logarithm from the margin: -softplus(x)."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    t = right.terms(logits, targets, options.get("alpha", 0.25), options.get("gamma", 2.0))
    rest = right.rounded(1.0, logits) - right.rounded(t.p, logits)
    return value, np.where((rest == 0) & right.is_hard(targets), gradient.dtype.type(np.nan), gradient)
