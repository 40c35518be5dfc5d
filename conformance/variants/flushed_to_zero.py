"""Results below the smallest normal number are zero, as on hardware that flushes them."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, of_targets, weighted

PROFILE: dict[str, Any] = {"conventions": {"subnormals": "flushed"}}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    weight = 1.0 if alpha is None else np.where(targets == 1, alpha, 1.0 - alpha)
    pair = weighted(weight, of_targets(logits, targets, gamma), logits)
    smallest = np.finfo(np.float32).smallest_normal
    value, slope = (np.where(np.abs(part) < smallest, np.float32(0), part) for part in pair)
    return value, slope


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
