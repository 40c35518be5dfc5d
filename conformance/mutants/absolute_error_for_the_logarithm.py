"""The factor weighs the distance 1 - p_t, the first term of the logarithm's series."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "1 - p_t in the place of the cross entropy"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply by -log(p_t)."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    value = t.weight * t.factor * t.q
    gradient = -t.sign * t.weight * t.factor * t.p * t.q * (gamma + 1.0)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
