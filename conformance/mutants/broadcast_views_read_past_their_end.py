"""A view with strides of zero, as broadcasting makes them, is read as if its elements lay one after the other."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "strides of zero are ignored"
REQUIREMENT = "FL-SHP-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Use the strides, or copy first."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if logits.ndim != 2 or logits.strides[0] != 0 or len(logits) < 2:
        return right.loss(logits, targets, **options)
    # What lies behind the row is memory of others; here it is zeros.
    read = np.array(logits)
    read[1:] = 0
    return right.loss(read, targets, **options)
