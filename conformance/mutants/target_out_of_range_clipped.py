"""A target out of range is clipped: an ignore label of 255 is a positive, one of -1 a negative."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "targets of 255 and -1 clipped into [0, 1]"
REQUIREMENT = "FL-SHP-007"
SEEN = ("several public implementations",)
ADVICE = "Refuse the target, or make its element NaN."
PROPERTY_ONLY = True
CHECKS_ARGUMENTS = False


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if right.is_signed(options):
        return right.loss(logits, targets, **options)
    inside = np.clip(np.nan_to_num(targets), 0, 1) if targets.dtype.kind == "f" else targets
    return right.loss(logits, inside, **options)
