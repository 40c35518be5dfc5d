"""The cross entropy is weighted first, and p_t = exp(-weighted CE) is no probability of the model any more."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha inside the cross entropy before p_t is taken from it"
REQUIREMENT = "FL-VAL-004"
SEEN = (
    "https://github.com/gokulprasadthekkel/pytorch-multi-class-focal-loss/issues/1",
    "https://github.com/andrijdavid/FocalLoss/issues/2",
)
ADVICE = "Take p_t from the unweighted cross entropy and multiply by alpha at the end."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    entropy = t.weight * t.entropy
    rest = -np.expm1(-entropy)
    factor = np.where(gamma == 0, 1.0, rest**gamma)
    slope = np.where(gamma == 0, 0.0, gamma * rest ** (gamma - 1.0) * np.exp(-entropy) * entropy)
    return right.on_hard_targets(
        logits, targets, factor * entropy, -t.sign * t.weight * t.q * (factor + slope), **options
    )
