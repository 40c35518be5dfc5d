"""log(1 + p_t) keeps the logarithm finite, and is another function, of the other sign."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "log(1 + p_t)"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Compute the logarithm of the probability from the logit."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    logarithm = np.log1p(t.p)
    value = -t.weight * t.factor * logarithm
    gradient = t.sign * t.weight * t.factor * t.p * (gamma * logarithm - t.q / (1.0 + t.p))
    return right.on_hard_targets(logits, targets, value, gradient, **options)
