"""p_t is exp(CE), above 1: for an odd gamma the loss is negative, for a fractional one NaN."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "p_t = exp(CE)"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "p_t = exp(-CE)."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    inverse = np.exp(t.entropy)
    rest = 1.0 - inverse
    value = t.weight * np.where(gamma == 0, 1.0, rest**gamma) * t.entropy
    slope = np.where(gamma == 0, 0.0, gamma * rest ** (gamma - 1.0)) * inverse * t.entropy
    gradient = t.sign * t.weight * t.q * (slope - np.where(gamma == 0, 1.0, rest**gamma))
    return right.on_hard_targets(logits, targets, value, gradient, **options)
