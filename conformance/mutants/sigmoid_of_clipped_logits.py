"""Logits are clipped to [-10, 10] first: the loss ends at 10, and the gradient beyond is 0."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "logits clipped before the sigmoid"
REQUIREMENT = "FL-EXT-009"
SEEN = ("nobody has reported it yet",)
ADVICE = "Do not clip; softplus does not overflow."
PROPERTY_ONLY = True
BOUND = 10.0
TRIED = {"BOUND": (4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 16.0, 20.0, 30.0, 50.0)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    inside = np.clip(logits, -BOUND, BOUND).astype(logits.dtype)
    value, gradient = right.loss(inside, targets, **options)
    return value, np.where(np.abs(logits) > BOUND, gradient.dtype.type(0), gradient)
