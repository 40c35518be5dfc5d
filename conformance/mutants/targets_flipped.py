"""The codes are exchanged: 1 stands for background."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "positives and negatives exchanged"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "1 is positive."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    t = targets.astype(np.float64)
    flipped = -t if right.is_signed(options) else 1.0 - t
    return right.loss(logits, flipped.astype(logits.dtype), **options)
