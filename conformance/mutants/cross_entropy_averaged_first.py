"""The cross entropy averaged before the focal factor.

The cross entropy of the batch is reduced to one number, p_t is taken from it, and every element gets the same factor.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the cross entropy averaged before the focal factor"
REQUIREMENT = "FL-DET-002"
SEEN = ("https://github.com/jfzhang95/pytorch-deeplab-xception/issues/133 and seven more",)
ADVICE = "Ask for the cross entropy without reduction, and reduce at the end."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    mean = t.entropy.mean() if t.entropy.size else 0.0
    factor = (-np.expm1(-mean)) ** gamma
    return right.on_hard_targets(
        logits, targets, t.weight * factor * t.entropy, -t.sign * t.weight * factor * t.q, **options
    )
