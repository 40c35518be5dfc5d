"""The mean is over the rows; the last axis is added up."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, of_targets, reduced, weighted

PROFILE: dict[str, Any] = {
    "signature": {"reduction": "reduction", "minimum_rank": 2},
    "conventions": {"sum": "elements", "mean": "rows"},
}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    weight = 1.0 if alpha is None else np.where(targets == 1, alpha, 1.0 - alpha)
    return weighted(weight, of_targets(logits, targets, gamma), logits)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float, reduction: str = "none") -> Array:
    rows = logits.size / logits.shape[-1] if logits.size else 0.0
    return reduced(both(logits, targets, alpha, gamma)[0], reduction, rows)


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
