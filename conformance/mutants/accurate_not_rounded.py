"""Accurate, but not correctly rounded.

The float32 result carries an error of 0.0005 ulp before it is rounded, so that one result in a thousand has another
last bit.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "accurate, but not correctly rounded"
REQUIREMENT = "FL-DET-003"
SEEN = ("nobody has reported it yet",)
ADVICE = 'Claim no "same_bits", or round a result that is accurate enough to be rounded correctly.'
TIER = "exact"
CLAIMS = frozenset({"same_bits"})
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    if logits.dtype != np.float32:
        return value, gradient
    precise, slope = right.loss(logits.astype(np.float64), targets.astype(np.float64), **options)
    off = 1.0 + 2.0**-35
    return right.rounded(precise * off, logits), right.rounded(slope * off, logits)
