"""Alpha is not checked: 1.5 gives negatives the weight -0.5, and training raises their loss."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha above 1 accepted"
REQUIREMENT = "FL-SHP-006"
SEEN = ("fvcore's sigmoid_focal_loss with alpha = 1.5",)
ADVICE = "Refuse alpha outside of [0, 1]."
PROPERTY_ONLY = True
CHECKS_ARGUMENTS = False


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    if np.ndim(alpha) == 0 and alpha is not None and alpha > 1:
        t = right.terms(logits, targets, alpha, options.get("gamma", 2.0))
        value = t.weight * t.factor * t.entropy
        return right.rounded(value, logits), right.rounded(-t.sign * t.weight * t.factor * t.q, logits)
    return right.loss(logits, targets, alpha=alpha, **options)
