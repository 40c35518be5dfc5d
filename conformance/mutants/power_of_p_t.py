"""The factor is p_t^gamma: what is easy counts, and what is wrong is left alone."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "p_t^gamma in the place of (1 - p_t)^gamma"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Raise 1 - p_t, not p_t."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    factor = np.where(gamma == 0, 1.0, np.exp(-gamma * t.entropy))
    value = t.weight * factor * t.entropy
    gradient = t.sign * t.weight * factor * t.q * (gamma * t.entropy - 1.0)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
