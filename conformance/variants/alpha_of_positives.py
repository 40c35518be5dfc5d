"""Alpha multiplies positives; negatives weigh 1."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, of_targets, weighted

PROFILE: dict[str, Any] = {"conventions": {"alpha": "pos-only"}}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    weight = np.where(targets == 1, 1.0 if alpha is None else alpha, 1.0)
    return weighted(weight, of_targets(logits, targets, gamma), logits)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
