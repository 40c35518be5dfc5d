"""Negatives are weighed by (1 - p)^gamma as positives are, so that the easy ones count most."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "(1 - p)^gamma for negatives as well"
REQUIREMENT = "FL-VAL-001"
SEEN = ("https://github.com/yqyao/SSD_Pytorch/issues/32",)
ADVICE = "Weigh negatives by p^gamma: by one minus the probability of the target."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), options.get("gamma", 2.0)
    t = right.terms(logits, targets, alpha, gamma)
    p, q = right.sigmoid(logits)
    factor = np.where(np.asarray(gamma) == 0, 1.0, q ** np.asarray(gamma))
    value = t.weight * factor * t.entropy
    gradient = t.weight * factor * (-t.sign * t.q - gamma * p * t.entropy)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
