"""The form most libraries have: max(x, 0) - x y + log1p(exp(-|x|)), times (1 - p_t)^gamma of a rounded p_t."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair

PROFILE: dict[str, Any] = {"claims": {"dtypes": {"float32": "cancellation-limited", "float64": "cancellation-limited"}}}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    if logits.shape != targets.shape:
        raise ValueError(f"targets: got shape {targets.shape}, logits have {logits.shape}")
    of = logits.dtype.type
    one, sign = of(1), np.where(targets == 1, of(1), of(-1))
    weight = one if alpha is None else np.where(targets == 1, of(alpha), of(1.0 - alpha))
    with np.errstate(all="ignore"):
        infinite = np.isinf(logits)
        x = np.where(infinite, of(0), logits)
        entropy = np.maximum(x, 0) - x * targets + np.log1p(np.exp(-np.abs(x)))
        entropy = np.where(infinite, np.where(sign * logits > 0, of(0), of(np.inf)), entropy)
        p = one / (one + np.exp(-logits))
        rest = one - np.where(targets == 1, p, one - p)
        factor = rest ** of(gamma)
        value = np.where(factor == 0, of(0), weight * factor * entropy)
        p_entropy = np.where(np.isinf(entropy), of(0), (one - rest) * entropy)
        gradient = -sign * weight * factor * (of(gamma) * p_entropy + rest)
        return np.where(np.isnan(logits), logits, value), np.where(np.isnan(logits), logits, gradient)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
