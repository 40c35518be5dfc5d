"""Sums in the format of the losses, halves added to halves."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, of_targets, weighted

PROFILE: dict[str, Any] = {
    "signature": {"reduction": "reduction"},
    "conventions": {"sum": "elements", "mean": "elements"},
}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    weight = 1.0 if alpha is None else np.where(targets == 1, alpha, 1.0 - alpha)
    return weighted(weight, of_targets(logits, targets, gamma), logits)


def pairwise(values: Array) -> Array:
    while values.size > 1:
        half = values.size // 2
        values = np.concatenate([values[:half] + values[half : 2 * half], values[2 * half :]])
    return np.asarray(values.sum())


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float, reduction: str = "none") -> Array:
    values = both(logits, targets, alpha, gamma)[0]
    if reduction not in ("none", "sum", "mean"):
        raise ValueError(f"reduction: got {reduction!r}; 'none', 'sum' or 'mean'")
    if reduction == "none":
        return values
    return np.asarray(
        pairwise(values.reshape(-1)) / values.dtype.type(max(1, values.size) if reduction == "mean" else 1)
    )


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
