"""A softmax over the last axis; 1e-6 is added to the label's probability inside the logarithm."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, margins_of, rounded

PROFILE: dict[str, Any] = {
    "signature": {"alpha": None, "targets": "labels"},
    "conventions": {"multi_class": "softmax", "alpha": "none", "clipping": "added", "epsilon": 1e-6},
    "claims": {"dtypes": {"float32": "clipped"}},
}


def both(logits: Array, labels: Array, gamma: float) -> Pair:
    margins, derivatives = margins_of(logits, labels)
    with np.errstate(all="ignore"):
        against = np.logaddexp(0.0, margins)
        factor = np.exp(-gamma * against) if gamma else np.ones_like(margins)
        p, q = np.exp(-np.logaddexp(0.0, -margins)), np.exp(-against)
        entropy = np.where(q < 0.5, -np.log1p(1e-6 - q), -np.log(p + 1e-6))
        slope = -factor * (gamma * p * entropy + p * q / (p + 1e-6))
        return rounded(factor * entropy, logits), rounded(derivatives * slope[..., np.newaxis], logits)


def loss(logits: Array, labels: Array, *, gamma: float) -> Array:
    return both(logits, labels, gamma)[0]


def gradient(logits: Array, labels: Array, *, gamma: float) -> Array:
    return both(logits, labels, gamma)[1]
