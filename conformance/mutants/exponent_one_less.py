"""The factor is (1 - p_t)^(gamma - 1): gamma = 1 is the cross entropy, and gamma = 0 divides by 1 - p_t."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "gamma - 1 in the exponent"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Raise 1 - p_t to the power of gamma."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, exponent = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0)) - 1.0
    t = right.terms(logits, targets, alpha, exponent)
    value = t.weight * t.factor * t.entropy
    gradient = -t.sign * t.weight * t.factor * (exponent * t.p * t.entropy + t.q)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
