"""An alpha of -1 switches weighting off."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, of_targets, weighted

PROFILE: dict[str, Any] = {"conventions": {"alpha_off": "-1"}}


def both(logits: Array, targets: Array, alpha: float, gamma: float) -> Pair:
    weight = 1.0 if alpha < 0 else np.where(targets == 1, alpha, 1.0 - alpha)
    return weighted(weight, of_targets(logits, targets, gamma), logits)


def loss(logits: Array, targets: Array, *, alpha: float, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
