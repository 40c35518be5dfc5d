"""The probability as (1 + tanh(x / 2)) / 2, which cancels for negatives, and the logarithm of it as softplus."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, softplus

PROFILE: dict[str, Any] = {"claims": {"dtypes": {"float32": "cancellation-limited"}}}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    if logits.shape != targets.shape:
        raise ValueError(f"targets: got shape {targets.shape}, logits have {logits.shape}")
    of = logits.dtype.type
    one, half, sign = of(1), of(0.5), np.where(targets == 1, of(1), of(-1))
    margin = sign * logits
    weight = one if alpha is None else np.where(targets == 1, of(alpha), of(1.0 - alpha))
    with np.errstate(all="ignore"):
        rest = half * (one - np.tanh(half * margin))
        entropy = softplus(-margin)
        factor = rest ** of(gamma)
        value = np.where(factor == 0, of(0), weight * factor * entropy)
        p_entropy = np.where(np.isinf(entropy), of(0), (one - rest) * entropy)
        gradient = -sign * weight * factor * (of(gamma) * p_entropy + rest)
        return np.where(np.isnan(logits), logits, value), gradient


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
