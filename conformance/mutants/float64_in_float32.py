"""Logits are cast to float32 and the result back: float64 in name, seven digits in truth."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "float64 computed in float32"
REQUIREMENT = "FL-VAL-001"
SEEN = ("fvcore's sigmoid_focal_loss, which calls .float()",)
ADVICE = "Compute in the dtype of the logits."
DTYPE = "float64"


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if logits.dtype != np.float64:
        return right.loss(logits, targets, **options)
    value, gradient = right.loss(logits.astype(np.float32), np.asarray(targets).astype(np.float32), **options)
    return value.astype(np.float64), gradient.astype(np.float64)
