"""Soft targets take |t - p| for the modulating factor."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, rounded

PROFILE: dict[str, Any] = {"conventions": {"soft_targets": "distance"}}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    if logits.shape != targets.shape:
        raise ValueError(f"targets: got shape {targets.shape}, logits have {logits.shape}")
    x, t = logits.astype(np.float64), targets.astype(np.float64)
    weight = 1.0 if alpha is None else alpha * t + (1.0 - alpha) * (1.0 - t)
    with np.errstate(all="ignore"):
        p, q = np.exp(-np.logaddexp(0.0, -x)), np.exp(-np.logaddexp(0.0, x))
        entropy = np.where(t == 0, 0.0, t * np.logaddexp(0.0, -x)) + np.where(
            t == 1, 0.0, (1 - t) * np.logaddexp(0.0, x)
        )
        off = np.where(t == 1, -q, np.where(t == 0, p, p - t))
        distance = np.abs(off)
        value = np.where(distance == 0, 0.0 if gamma else entropy, distance**gamma * entropy)
        spread = np.where(np.isinf(entropy), 0.0, p * q * entropy)
        slope = np.sign(off) * distance ** (gamma - 1.0) * (gamma * spread + distance**2)
        slope = np.where(distance == 0, 0.0, slope)
        value, slope = (np.where(np.isnan(x), np.nan, part) for part in (value, slope))
        return rounded(weight * value, logits), rounded(weight * slope, logits)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
