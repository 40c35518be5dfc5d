"""Compensated sums.

Sums in the format of the losses, with the rounding of each addition carried along (Kahan), a lane for each of 1024.
"""

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


def compensated(values: Array) -> Array:
    lanes = np.zeros((-(-values.size // 1024), 1024), values.dtype)
    lanes.reshape(-1)[: values.size] = values.reshape(-1)
    total, lost = np.zeros(1024, values.dtype), np.zeros(1024, values.dtype)
    for lane in lanes:
        term = lane - lost
        moved = total + term
        total, lost = moved, (moved - total) - term
    return np.asarray(values.dtype.type(np.sum(total.astype(np.float64) - lost)))


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float, reduction: str = "none") -> Array:
    values = both(logits, targets, alpha, gamma)[0]
    if reduction not in ("none", "sum", "mean"):
        raise ValueError(f"reduction: got {reduction!r}; 'none', 'sum' or 'mean'")
    if reduction == "none":
        return values
    return np.asarray(compensated(values) / values.dtype.type(max(1, values.size) if reduction == "mean" else 1))


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
