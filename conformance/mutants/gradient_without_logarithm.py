"""The derivative keeps the slope of the factor and forgets the cross entropy that multiplies it."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a hand-written gradient without its logarithm"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("several public implementations",)
ADVICE = "The derivative is -alpha_t q^gamma (gamma p (-log p) + q) towards the target."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value = right.loss(logits, targets, **options)[0]
    gamma = np.minimum(np.asarray(options.get("gamma", 2.0)), 1e300)
    t = right.terms(logits, targets, options.get("alpha", 0.25), gamma)
    gradient = -t.sign * t.weight * t.factor * (gamma * t.p + t.q)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
