"""1e-6 is added to the probability inside the logarithm."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, elements, rounded

PROFILE: dict[str, Any] = {
    "conventions": {"clipping": "added", "epsilon": 1e-6},
    "claims": {"dtypes": {"float32": "clipped"}},
}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    sign, margin, weight = elements(logits, targets, alpha)
    with np.errstate(all="ignore"):
        against = np.logaddexp(0.0, margin)
        factor = np.exp(-gamma * against) if gamma else np.ones_like(margin)
        p, q = np.exp(-np.logaddexp(0.0, -margin)), np.exp(-against)
        entropy = np.where(q < 0.5, -np.log1p(1e-6 - q), -np.log(p + 1e-6))
        slope = gamma * p * entropy + p * q / (p + 1e-6)
        return rounded(weight * factor * entropy, logits), rounded(-sign * weight * factor * slope, logits)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
