"""An infinite loss becomes the largest number of the format, by nan_to_num or a clamp."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "infinity turned into the largest number"
REQUIREMENT = "FL-EXT-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Let infinity through: an infinite logit on the wrong side has an infinite loss."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return np.where(np.isinf(value), np.finfo(value.dtype).max, value).astype(value.dtype), gradient
