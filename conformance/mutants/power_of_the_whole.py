"""The power is around the product: ((1 - p_t) CE)^gamma."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the cross entropy is raised too"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Raise 1 - p_t alone."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    product = np.where(gamma == 0, 1.0, (t.q * t.entropy) ** gamma)
    value = t.weight * product
    gradient = -t.sign * t.weight * gamma * product * (t.p + t.q / t.entropy)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
