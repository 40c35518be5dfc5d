"""Logits beyond 50 are clamped in the forward pass: the loss of 1000 is that of 50, while the gradient is still 1."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "logits clamped to 50"
REQUIREMENT = "FL-EXT-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Do not clamp; softplus does not overflow."
BOUND = 50.0
TRIED = {"BOUND": (5.0, 8.0, 10.0, 15.0, 16.0, 20.0, 30.0, 40.0, 50.0, 80.0, 88.0, 100.0)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    clamped = np.clip(logits, -BOUND, BOUND).astype(logits.dtype)
    return right.loss(clamped, targets, **options)[0], right.loss(logits, targets, **options)[1]
