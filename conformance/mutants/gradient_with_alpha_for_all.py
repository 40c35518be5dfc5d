"""The hand-written gradient weighs negatives by alpha too, the value by 1 - alpha."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha for negatives in the gradient"
REQUIREMENT = "FL-GRAD-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Use alpha_t in both."


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    value = right.loss(logits, targets, alpha=alpha, **options)[0]
    gradient = right.loss(logits, targets, alpha=None, **options)[1]
    weight = 1.0 if alpha is None else np.asarray(alpha)
    return value, right.rounded(gradient * weight, gradient)
