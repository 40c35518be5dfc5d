"""Everything in the format of the logits: softplus of the margin, and the factor as an exponential of it."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, softplus

PROFILE: dict[str, Any] = {"claims": {"dtypes": {"float32": "standard", "float64": "standard"}}}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    if logits.shape != targets.shape:
        raise ValueError(f"targets: got shape {targets.shape}, logits have {logits.shape}")
    of = logits.dtype.type
    sign = np.where(targets == 1, of(1), of(-1))
    margin = sign * logits
    weight = of(1) if alpha is None else np.where(targets == 1, of(alpha), of(1.0 - alpha))
    with np.errstate(all="ignore"):
        entropy, against = softplus(-margin), softplus(margin)
        factor = np.exp(-of(gamma) * against) if gamma else np.ones_like(margin)
        value = np.where(factor == 0, of(0), weight * factor * entropy)
        slope = np.where(np.isinf(entropy), of(0), of(gamma) * np.exp(-entropy) * entropy) + np.exp(-against)
        return np.where(np.isnan(margin), margin, value), -sign * weight * factor * slope


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
