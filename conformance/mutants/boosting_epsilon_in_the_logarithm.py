"""Gradients come from log(p + 1e-9) and log(1 - p + 1e-9): 5,000 times off for confident margins."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "an epsilon in the logarithms of a boosting objective"
REQUIREMENT = "FL-GRAD-003"
SEEN = ("imbalance-xgboost",)
ADVICE = "Take logarithms from the margin: -softplus(x)."
EPSILON = 1e-9
TRIED = {"EPSILON": (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value = right.loss(logits, targets, **options)[0]
    gamma = np.minimum(np.asarray(options.get("gamma", 2.0)), 1e300)
    t = right.terms(logits, targets, options.get("alpha", 0.25), gamma)
    logarithm = np.log(t.p + EPSILON)
    gradient = t.sign * t.weight * (t.q + EPSILON) ** gamma * (gamma * t.p * logarithm - t.q)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
