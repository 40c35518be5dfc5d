"""The value of the cross entropy takes the place of p_t: alpha (1 - CE)^gamma CE, with negative and NaN results."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the cross entropy used as p_t"
REQUIREMENT = "FL-VAL-001"
SEEN = ("focal-ce-loss 0.0.3",)
ADVICE = "Compute p_t = exp(-CE) and raise 1 - p_t to the power of gamma."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    rest = 1.0 - t.entropy
    value = t.weight * rest**gamma * t.entropy
    by_entropy = t.weight * (rest**gamma - gamma * rest ** (gamma - 1.0) * t.entropy)
    return right.on_hard_targets(logits, targets, value, -t.sign * t.q * by_entropy, **options)
