"""p_t comes first and 1 - p_t is a difference: exactly 0 for margins from 16.7 in float32."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "1 - p_t computed from p_t"
REQUIREMENT = "FL-VAL-002"
SEEN = ("several public implementations",)
ADVICE = "Compute 1 - p_t as sigmoid(-s) and the cross entropy as softplus(-s) of the margin s."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0), dtype=logits.dtype)
    t = right.terms(logits, targets, alpha, gamma)
    one = logits.dtype.type(1)
    p = one / (one + np.exp(-right.rounded(t.margin, logits)))
    factor = (one - p) ** gamma
    value = -t.weight * factor * np.log(p)
    gradient = t.sign * t.weight * factor * (gamma * p * np.log(p) - (one - p))
    return right.on_hard_targets(logits, targets, value, gradient, **options)
