"""log(1 - p_t) stands for log(p_t), or softplus has the wrong sign: easy elements have the large losses."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the logarithm of 1 - p_t"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Take -log(p_t) = softplus(-s), s = (2 y - 1) x."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    against = np.logaddexp(0.0, t.margin)
    value = t.weight * t.factor * against
    gradient = t.sign * t.weight * t.factor * t.p * (1.0 - gamma * against)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
