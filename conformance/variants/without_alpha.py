"""There is no alpha."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, of_targets, weighted

PROFILE: dict[str, Any] = {"signature": {"alpha": None}, "conventions": {"alpha": "none"}}


def both(logits: Array, targets: Array, alpha: None, gamma: float) -> Pair:
    return weighted(np.float64(1.0), of_targets(logits, targets, gamma), logits)


def loss(logits: Array, targets: Array, *, gamma: float) -> Array:
    return both(logits, targets, None, gamma)[0]


def gradient(logits: Array, targets: Array, *, gamma: float) -> Array:
    return both(logits, targets, None, gamma)[1]
