"""The diagonal of the Hessian is that of the cross entropy of a softmax."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "p (1 - p) for the diagonal of the softmax"
REQUIREMENT = "FL-SMX-003"
SEEN = ("several public implementations",)
ADVICE = "Differentiate the focal gradient of the row."


def second_derivative(logits: Array, targets: Array, *, function: str, **options: Any) -> Array:
    if function != "softmax_loss":
        return right.second_derivative(logits, targets, function=function, **options)
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    p = odds / odds.sum(axis=-1, keepdims=True)
    return right.rounded(p * (1 - p), logits)
