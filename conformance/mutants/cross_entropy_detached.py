"""The cross entropy is a constant in the gradient, which keeps the slope of the factor alone."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the cross entropy detached"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Differentiate the product."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    value = right.loss(logits, targets, **options)[0]
    gradient = -t.sign * t.weight * t.factor * gamma * t.p * t.entropy
    return right.on_hard_targets(logits, targets, value, gradient, **options)
