"""The cross entropy is log(1 - p_c), the probability of all other classes."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the logarithm of 1 - p_c"
REQUIREMENT = "FL-SMX-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Take -log(p_c)."


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    value, gradient = right.softmax_loss(logits, labels, **options)
    plain = labels.ndim < logits.ndim and options.get("axis", -1) == -1 and options.get("alpha") is None
    if not plain or np.any(labels < 0):
        return value, gradient
    gamma = np.asarray(options.get("gamma", 2.0))
    entropy, slope = right.softmax_loss(logits.astype(np.float64), labels, alpha=None, gamma=0.0)
    p, rest = np.exp(-entropy), -np.expm1(-entropy)
    factor = np.where(gamma == 0, 1.0, rest**gamma)
    # slope is p_j - [j = c] = -d log(p_c) / d z_j.
    by_p = factor * p * (1.0 + gamma * np.log(rest)) / rest
    wrong = right.rounded(-factor * np.log(rest), logits)
    return wrong, right.rounded(-by_p[..., np.newaxis] * slope, logits)
