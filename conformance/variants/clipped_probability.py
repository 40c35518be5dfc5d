"""The probability is clipped to [1e-6, 1 - 1e-6] before anything is computed from it; beyond, there is no gradient."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, of_targets, weighted

PROFILE: dict[str, Any] = {
    "conventions": {"clipping": "probability", "epsilon": 1e-6},
    "claims": {"dtypes": {"float32": "clipped"}},
}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    bound = np.log((1.0 - 1e-6) / 1e-6)
    inside = np.clip(logits.astype(np.float64), -bound, bound)
    value, slope = of_targets(inside, targets, gamma)
    weight = 1.0 if alpha is None else np.where(targets == 1, alpha, 1.0 - alpha)
    clipped = np.abs(logits.astype(np.float64)) > bound
    return weighted(weight, (value, np.where(clipped, 0.0, slope)), logits)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
