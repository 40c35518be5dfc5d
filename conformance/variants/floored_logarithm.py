"""Each logarithm is of at least 1e-6; small losses are not clipped."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, elements, rounded

PROFILE: dict[str, Any] = {
    "conventions": {"clipping": "logarithm", "epsilon": 1e-6},
    "claims": {"dtypes": {"float32": "clipped"}},
}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    sign, margin, weight = elements(logits, targets, alpha)
    with np.errstate(all="ignore"):
        entropy = np.minimum(np.logaddexp(0.0, -margin), -np.log(1e-6))
        against = np.logaddexp(0.0, margin)
        factor = np.exp(-gamma * against) if gamma else np.ones_like(margin)
        p, q = np.exp(-np.logaddexp(0.0, -margin)), np.exp(-against)
        slope = gamma * p * entropy + np.where(p < 1e-6, 0.0, q)
        entropy = np.where(np.isnan(margin), np.nan, entropy)
        return rounded(weight * factor * entropy, logits), rounded(-sign * weight * factor * slope, logits)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
