"""The cross entropy averaged before the focal factor.

The cross entropy of the batch is reduced to one number, p_t is taken from it, and every element gets the same factor.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the cross entropy averaged before the focal factor"
REQUIREMENT = "FL-DET-002"
SEEN = (
    "https://github.com/jfzhang95/pytorch-deeplab-xception/issues/133",
    "https://github.com/gokulprasadthekkel/pytorch-multi-class-focal-loss/issues/1",
    "seven more repositories",
)
ADVICE = "Ask for the cross entropy without reduction, and reduce at the end."
PROPERTY_ONLY = True
FACTOR = "of the mean"
TRIED = {"FACTOR": ("of the mean", "of each element")}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    mean = t.entropy.mean() if t.entropy.size else 0.0
    if FACTOR == "of the mean":
        factor = (-np.expm1(-mean)) ** gamma
        value, gradient = t.weight * factor * t.entropy, -t.sign * t.weight * factor * t.q
    else:
        value = t.weight * t.factor * mean
        through_mean = np.sum(t.weight * t.factor) * t.q / max(1, t.q.size)
        gradient = -t.sign * (t.weight * gamma * t.factor * t.p * mean + through_mean)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
