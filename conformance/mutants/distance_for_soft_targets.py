"""|y - p|^gamma in the place of the blended factor.

The modulating factor is the distance of target and probability, as in the quality focal loss; for soft targets another
loss.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "|y - p|^gamma in the place of the blended factor"
REQUIREMENT = "FL-DECL-006"
SEEN = ("segmentation-models-pytorch",)
ADVICE = 'Use the blended p_t, or declare the rule: conventions.soft_targets = "distance".'
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    x, t = logits.astype(np.float64), np.asarray(targets).astype(np.float64)
    p, q = right.sigmoid(x)
    entropy = t * np.logaddexp(0.0, -x) + (1.0 - t) * np.logaddexp(0.0, x)
    distance, weight = np.abs(t - p), right.weight(t, alpha)
    slope = np.sign(p - t) * distance ** (gamma - 1.0) * (gamma * p * q * entropy + distance**2)
    hard = right.is_hard(targets)
    return (
        np.where(hard, value, right.rounded(weight * distance**gamma * entropy, logits)),
        np.where(hard, gradient, right.rounded(weight * slope, logits)),
    )
