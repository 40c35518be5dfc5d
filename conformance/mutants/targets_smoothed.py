"""Label smoothing was left in: 1 is 0.95 and 0 is 0.05."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "label smoothing left in"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Smooth targets outside of the loss, where that is wanted."
EPSILON = 0.1
TRIED = {"EPSILON": (0.001, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if right.is_signed(options):
        return right.loss(logits, targets, **options)
    smooth = targets.astype(np.float64) * (1.0 - EPSILON) + EPSILON / 2.0
    return right.loss(logits, smooth.astype(logits.dtype), **options)
