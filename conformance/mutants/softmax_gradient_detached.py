"""The gradient is (1 - p_c)^gamma (p - onehot): that of the cross entropy times the factor."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the factor of the softmax loss taken as a constant"
REQUIREMENT = "FL-SMX-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Let the gradient go through the factor."


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    value, gradient = right.softmax_loss(logits, labels, **options)
    gamma = options.get("gamma", 2.0)
    if labels.ndim == logits.ndim or options.get("axis", -1) != -1 or options.get("alpha") is not None or not gamma:
        return value, gradient
    entropy, slope = right.softmax_loss(logits.astype(np.float64), labels, alpha=None, gamma=0.0)
    factor = (-np.expm1(-entropy)) ** gamma
    return value, right.rounded(factor[..., np.newaxis] * slope, logits)
