"""The mean is over the sum of the weights alpha_t."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, of_targets, reduced, weighted

PROFILE: dict[str, Any] = {
    "signature": {"reduction": "reduction"},
    "conventions": {"sum": "elements", "mean": "weights"},
}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    weight = 1.0 if alpha is None else np.where(targets == 1, alpha, 1.0 - alpha)
    return weighted(weight, of_targets(logits, targets, gamma), logits)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float, reduction: str = "none") -> Array:
    weight = np.ones(targets.shape) if alpha is None else np.where(targets == 1, alpha, 1.0 - alpha)
    return reduced(both(logits, targets, alpha, gamma)[0], reduction, float(weight.sum()))


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
