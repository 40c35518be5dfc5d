"""The probability is clipped to [1e-6, 1 - 1e-6] in the cross entropy, and not in the modulating factor."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, elements, rounded

PROFILE: dict[str, Any] = {
    "conventions": {"clipping": "cross-entropy", "epsilon": 1e-6},
    "claims": {"dtypes": {"float32": "clipped"}},
}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    sign, margin, weight = elements(logits, targets, alpha)
    with np.errstate(all="ignore"):
        bound = np.log((1.0 - 1e-6) / 1e-6)
        entropy = np.logaddexp(0.0, -np.clip(margin, -bound, bound))
        against = np.logaddexp(0.0, margin)
        factor = np.exp(-gamma * against) if gamma else np.ones_like(margin)
        p, q = np.exp(-np.logaddexp(0.0, -margin)), np.exp(-against)
        slope = gamma * p * entropy + np.where(np.abs(margin) > bound, 0.0, q)
        return rounded(weight * factor * entropy, logits), rounded(-sign * weight * factor * slope, logits)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
