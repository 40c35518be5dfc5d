"""max(x, 0) - x t + log1p(e^-|x|) has corners at 0 that cancel; automatic differentiation takes one side of one."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "gradient of max(x, 0) and |x| at a logit of exactly 0"
REQUIREMENT = "FL-GRAD-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Give the derivative in closed form, or use softplus."
SLOPE = 1.0
TRIED = {"SLOPE": (0.0, 1.0)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0), dtype=np.float64)
    value, gradient = right.loss(logits, targets, **options)
    share = (np.asarray(targets).astype(np.float64) + 1.0) / 2.0 if right.is_signed(options) else targets
    # At 0 the probability is 1/2 and the cross entropy log 2, whatever the target.
    factor = np.where(gamma == 0, 1.0, 0.5**gamma)
    corner = right.weight(share, alpha) * factor * (SLOPE - share - gamma * np.log(2.0) * (share - 0.5))
    return value, np.where(logits == 0, right.rounded(corner, gradient), gradient)
