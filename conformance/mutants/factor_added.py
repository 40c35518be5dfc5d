"""The factor is added to the cross entropy, where it has to multiply it."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the factor is added"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    value = t.weight * (t.entropy + t.factor)
    gradient = -t.sign * t.weight * (t.q + gamma * t.p * t.factor)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
