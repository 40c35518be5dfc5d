"""(1 - p_t)^gamma is returned without the cross entropy that it weighs."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the cross entropy is missing"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply by -log(p_t)."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    value = t.weight * t.factor
    gradient = -t.sign * t.weight * gamma * t.p * t.factor
    return right.on_hard_targets(logits, targets, value, gradient, **options)
