"""The factor is that of class 0 for every label."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the factor of another class"
REQUIREMENT = "FL-SMX-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Take the factor of the label's probability."


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    value, gradient = right.softmax_loss(logits, labels, **options)
    plain = labels.ndim < logits.ndim and options.get("axis", -1) == -1 and options.get("alpha") is None
    if not plain or np.any(labels < 0) or not np.all(np.isfinite(logits)):
        return value, gradient
    gamma = np.asarray(options.get("gamma", 2.0))
    wide = logits.astype(np.float64)
    entropy, slope = right.softmax_loss(wide, labels, alpha=None, gamma=0.0)
    first, first_slope = right.softmax_loss(wide, np.zeros_like(labels), alpha=None, gamma=0.0)
    p, rest = np.exp(-first), -np.expm1(-first)
    factor = np.where(gamma == 0, 1.0, rest**gamma)
    of_factor = np.where(gamma == 0, 0.0, gamma * rest ** (gamma - 1.0) * p)
    mixed = (of_factor * entropy)[..., np.newaxis] * first_slope + factor[..., np.newaxis] * slope
    return right.rounded(factor * entropy, logits), right.rounded(mixed, logits)
