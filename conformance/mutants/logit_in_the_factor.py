"""The cross entropy takes the logit, and so does the factor: (1 - x)^gamma, which no sigmoid bounds."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the sigmoid of the factor is missing"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Apply the sigmoid before p_t is formed."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    x = logits.astype(np.float64)
    rest = np.where(t.sign > 0, 1.0 - x, x)
    factor = np.where(gamma == 0, 1.0, rest**gamma)
    slope = np.where(gamma == 0, 0.0, gamma * rest ** (gamma - 1.0))
    value = t.weight * factor * t.entropy
    gradient = -t.sign * t.weight * (slope * t.entropy + factor * t.q)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
