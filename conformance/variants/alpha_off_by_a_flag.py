"""A keyword switches weighting off."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, of_targets, weighted

PROFILE: dict[str, Any] = {
    "signature": {"alpha_off": {"balanced": False}, "alpha_on": {"balanced": True}},
    "conventions": {"alpha_off": "flag"},
}


def both(logits: Array, targets: Array, alpha: float, gamma: float, balanced: bool) -> Pair:
    weight = np.where(targets == 1, alpha, 1.0 - alpha) if balanced else 1.0
    return weighted(weight, of_targets(logits, targets, gamma), logits)


def loss(logits: Array, targets: Array, *, gamma: float, alpha: float = 0.25, balanced: bool = True) -> Array:
    return both(logits, targets, alpha, gamma, balanced)[0]


def gradient(logits: Array, targets: Array, *, gamma: float, alpha: float = 0.25, balanced: bool = True) -> Array:
    return both(logits, targets, alpha, gamma, balanced)[1]
