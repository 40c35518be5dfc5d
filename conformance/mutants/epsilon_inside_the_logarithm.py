"""An epsilon inside the logarithm.

log(p_t + 1e-8) is a floor under p_t: at 1e-8 the cross entropy is 17.73 in the place of 18.42 and never exceeds 18.42.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "an epsilon inside the logarithm"
REQUIREMENT = "FL-DECL-007"
SEEN = (
    "https://github.com/mkocabas/focal-loss-keras/issues/17",
    "several public implementations",
)
ADVICE = "Compute the logarithm of the probability from the logit; no epsilon is needed."
PROPERTY_ONLY = True
EPSILON = 1e-8
TRIED = {"EPSILON": (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    logarithm = np.log(t.p + EPSILON)
    value = -t.weight * t.factor * logarithm
    gradient = t.sign * t.weight * t.factor * (gamma * t.p * logarithm - t.p * t.q / (t.p + EPSILON))
    return right.on_hard_targets(logits, targets, value, gradient, **options)
