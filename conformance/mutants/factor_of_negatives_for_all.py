"""Positives are weighed by p^gamma as negatives are: a positive that is missed has no loss."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "p^gamma for positives too"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Use the probability of the target: 1 - p for positives, p for negatives."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    p, q = right.sigmoid(logits)
    factor = np.where(gamma == 0, 1.0, p**gamma)
    value = t.weight * factor * t.entropy
    gradient = t.weight * factor * (gamma * q * t.entropy - t.sign * t.q)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
