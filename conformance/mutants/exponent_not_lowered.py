"""The derivative of (1 - p_t)^gamma is written as gamma (1 - p_t)^gamma."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the power rule without the minus one"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "The derivative of u^gamma is gamma u^(gamma - 1)."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    value = right.loss(logits, targets, **options)[0]
    gradient = -t.sign * t.weight * t.factor * t.q * (gamma * t.p * t.entropy + 1.0)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
