"""Whatever the dtype of the logits is, the result is float32."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "float32 results of float64 logits"
REQUIREMENT = "FL-DECL-011"
SEEN = ("fvcore's sigmoid_focal_loss before its result is cast",)
ADVICE = "Return the logits' dtype, or do not declare float64."
PROPERTY_ONLY = True
DTYPE = "float64"
GRADIENT = "float32"
TRIED = {"GRADIENT": ("float32", "float64")}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return value.astype(np.float32), gradient.astype(np.float32).astype(GRADIENT)
