"""Losses are computed in pairs, and a target that is none makes both of its pair NaN."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a bad target spoils its neighbour"
REQUIREMENT = "FL-SHP-007"
SEEN = ("nobody has reported it yet",)
ADVICE = "Let elements depend on themselves alone."
PROPERTY_ONLY = True
CHECKS_ARGUMENTS = False


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if right.is_signed(options):
        return right.loss(logits, targets, **options)
    if targets.dtype.kind != "f":
        return right.loss(logits, targets, **options)
    bad = ~((targets >= 0) & (targets <= 1))
    value, gradient = right.loss(logits, np.where(bad, 0, targets).astype(targets.dtype), **options)
    spoilt = bad | np.roll(bad, 1) if bad.ndim == 1 else bad
    return np.where(spoilt, value.dtype.type(np.nan), value), np.where(spoilt, gradient.dtype.type(np.nan), gradient)
