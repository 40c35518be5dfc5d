"""Losses are at least 1e-8: a hundred thousand easy negatives cost a thousandth that they do not have."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a floor under the losses"
REQUIREMENT = "FL-VAL-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Have no floor."
EPSILON = 1e-8
TRIED = {"EPSILON": (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return np.maximum(value, value.dtype.type(EPSILON)), np.where(value < EPSILON, gradient.dtype.type(0), gradient)
