"""Float32 logits are rounded to float16 first, as where a cast for speed was left in."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "float32 computed from float16"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Compute in the logits' dtype at least."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    with np.errstate(over="ignore"):
        rounded = logits.astype(np.float16).astype(logits.dtype)
    return right.loss(rounded, targets, **options)
