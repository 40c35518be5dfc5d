"""0^0 through exp(0 log 0).

The modulating factor is exp(gamma log(1 - p_t)) also for gamma = 0: 0 times minus infinity is NaN where 1 - p_t
underflows.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "0^0 through exp(0 log 0)"
REQUIREMENT = "FL-VAL-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Leave the factor out for gamma = 0, or take log(1 - p_t) = -softplus(s)."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    value, gradient = right.loss(logits, targets, **options)
    t = right.terms(logits, targets, alpha, gamma)
    rest = right.rounded(1.0, logits) - right.rounded(t.p, logits)
    lost = np.where((gamma == 0) & (rest == 0), np.nan, value)
    return right.on_hard_targets(logits, targets, lost, gradient, **options)
