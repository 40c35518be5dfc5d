"""Subnormal float16 results are flushed to zero, which is one binade in 16 of what easy elements cost."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "float16 results below 6.1e-5 are 0"
REQUIREMENT = "FL-EXT-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "Round from float32 to float16 with gradual underflow, as the hardware does."
DTYPE = "float16"
TIER = "exact"
CLAIMS = frozenset({"exhaustive"})
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    if logits.dtype != np.float16:
        return value, gradient
    smallest = np.finfo(np.float16).smallest_normal
    flushed = (np.where(np.abs(part) < smallest, 0, part).astype(part.dtype) for part in (value, gradient))
    return next(flushed), next(flushed)
