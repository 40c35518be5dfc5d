"""Blocks of 16 elements in a buffer that is used again, and the rest in a shorter one."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, of_targets, weighted

PROFILE: dict[str, Any] = {}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    if logits.shape != targets.shape:
        raise ValueError(f"targets: got shape {targets.shape}, logits have {logits.shape}")
    value, slope = np.empty(logits.size), np.empty(logits.size)
    x, t = logits.reshape(-1), targets.reshape(-1)
    for start in range(0, logits.size, 16):
        block = slice(start, start + 16)
        value[block], slope[block] = of_targets(x[block], t[block], gamma)
    pair = value.reshape(logits.shape), slope.reshape(logits.shape)
    weight = 1.0 if alpha is None else np.where(targets == 1, alpha, 1.0 - alpha)
    return weighted(weight, pair, logits)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
