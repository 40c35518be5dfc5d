"""Losses are limited to 100, with no gradient beyond."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a limit over the losses"
REQUIREMENT = "FL-EXT-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Have no limit; a badly wrong element has its loss."
LIMIT = 100.0
TRIED = {"LIMIT": (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return np.minimum(value, value.dtype.type(LIMIT)), np.where(value > LIMIT, gradient.dtype.type(0), gradient)
