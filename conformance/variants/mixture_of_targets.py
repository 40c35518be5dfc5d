"""Soft targets mix the losses of both classes."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, rounded, sides

PROFILE: dict[str, Any] = {"conventions": {"soft_targets": "mixture"}}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    if logits.shape != targets.shape:
        raise ValueError(f"targets: got shape {targets.shape}, logits have {logits.shape}")
    t = targets.astype(np.float64)
    own, others = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    positive, negative = sides(logits, gamma)
    with np.errstate(all="ignore"):
        value, slope = (
            np.where(t == 0, 0.0, t * own * one) + np.where(t == 1, 0.0, (1.0 - t) * others * zero)
            for one, zero in zip(positive, negative, strict=True)
        )
        return rounded(np.where(np.isnan(logits), np.nan, value), logits), rounded(slope, logits)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
