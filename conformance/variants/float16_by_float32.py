"""16-bit formats computed in float32 and rounded to 16 bits."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, rounded, softplus

PROFILE: dict[str, Any] = {"claims": {"dtypes": {"float16": "tight", "bfloat16": "tight"}}}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    if logits.shape != targets.shape:
        raise ValueError(f"targets: got shape {targets.shape}, logits have {logits.shape}")
    of = np.float32
    sign = np.where(targets == 1, of(1), of(-1))
    margin = sign * logits.astype(np.float32)
    weight = of(1) if alpha is None else np.where(targets == 1, of(alpha), of(1.0 - alpha))
    with np.errstate(all="ignore"):
        entropy, against = softplus(-margin), softplus(margin)
        factor = np.exp(-of(gamma) * against) if gamma else np.ones_like(margin)
        value = np.where(factor == 0, of(0), weight * factor * entropy)
        slope = np.where(np.isinf(entropy), of(0), of(gamma) * np.exp(-entropy) * entropy) + np.exp(-against)
        value = np.where(np.isnan(margin), margin, value)
        return rounded(value, logits), rounded(-sign * weight * factor * slope, logits)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
