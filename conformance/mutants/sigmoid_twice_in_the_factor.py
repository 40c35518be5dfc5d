"""The cross entropy takes the logit, and the factor the sigmoid of a probability."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a second sigmoid in the factor"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Take p_t from the logit, or as exp(-CE)."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    p, q = right.sigmoid(logits)
    again, rest = right.sigmoid(p)
    away = np.where(t.sign > 0, rest, again)
    factor = np.where(gamma == 0, 1.0, away**gamma)
    slope = np.where(gamma == 0, 0.0, gamma * away ** (gamma - 1.0)) * again * rest * p * q
    value = t.weight * factor * t.entropy
    gradient = -t.sign * t.weight * (slope * t.entropy + factor * t.q)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
