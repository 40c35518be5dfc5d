"""The power is inside the difference: at p_t = 0.9 and gamma = 2 the loss falls by 5 in the place of 100."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "1 - p_t^gamma in the place of (1 - p_t)^gamma"
REQUIREMENT = "FL-VAL-008"
SEEN = ("nobody has reported it yet",)
ADVICE = "Subtract first, then raise."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    factor = np.where(gamma == 0, 1.0, -np.expm1(-gamma * t.entropy))
    slope = np.where(gamma == 0, 0.0, gamma * np.exp(-gamma * t.entropy) * t.entropy)
    return right.on_hard_targets(
        logits, targets, t.weight * factor * t.entropy, -t.sign * t.weight * t.q * (factor + slope), **options
    )
