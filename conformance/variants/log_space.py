"""The whole loss in log space: alpha_t exp(-gamma softplus(s)) times the cross entropy, as one exponential."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, elements, rounded

PROFILE: dict[str, Any] = {}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    sign, margin, weight = elements(logits, targets, alpha)
    with np.errstate(all="ignore"):
        entropy, against = np.logaddexp(0.0, -margin), np.logaddexp(0.0, margin)
        focus = gamma * against if gamma else np.zeros_like(margin)
        value = np.exp(np.log(weight) + np.log(entropy) - focus)
        value = np.where(focus == np.inf, 0.0, value)
        # gamma p c, with its limit where c is infinite
        slope = np.where(np.isinf(entropy), 0.0, gamma * np.exp(-entropy) * entropy) + np.exp(-against)
        slope = sign * weight * np.exp(-focus) * slope
        return rounded(np.where(np.isnan(margin), np.nan, value), logits), rounded(-slope, logits)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
