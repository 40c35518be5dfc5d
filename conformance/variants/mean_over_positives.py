"""The mean is over the number of positives, at least 1."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, of_targets, reduced, weighted

PROFILE: dict[str, Any] = {
    "signature": {"reduction": "reduction"},
    "conventions": {"sum": "elements", "mean": "positives"},
}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    weight = 1.0 if alpha is None else np.where(targets == 1, alpha, 1.0 - alpha)
    return weighted(weight, of_targets(logits, targets, gamma), logits)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float, reduction: str = "none") -> Array:
    return reduced(both(logits, targets, alpha, gamma)[0], reduction, max(1.0, float(np.sum(targets == 1))))


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
