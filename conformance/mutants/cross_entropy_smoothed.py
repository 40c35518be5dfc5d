"""The cross entropy is that of smoothed targets, the factor and alpha those of hard ones."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "label smoothing of the cross entropy alone"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Smooth targets outside of the loss, where that is wanted."
EPSILON = 0.1
TRIED = {"EPSILON": (0.001, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    share = EPSILON / 2.0
    entropy = (1.0 - share) * t.entropy + share * np.logaddexp(0.0, t.margin)
    value = t.weight * t.factor * entropy
    gradient = -t.sign * t.weight * t.factor * (gamma * t.p * entropy + t.q - share)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
