"""The float32 result is cut to bfloat16 in the place of rounding it: every loss is too small, by up to an ulp."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "bfloat16 by cutting off 16 bits"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Round to nearest, ties to even."
DTYPE = "bfloat16"
TIER = "exact"


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    if logits.dtype.name != "bfloat16":
        return value, gradient
    wide, _ = right.loss(logits.astype(np.float32), np.asarray(targets).astype(np.float32), **options)
    cut = (np.asarray(wide).view(np.uint32) >> 16).astype(np.uint16).view(logits.dtype)
    return np.where(np.isnan(value), value, cut), gradient
