"""Alpha is chosen by a threshold: soft targets get that of a positive or of a negative, and no blend."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha chosen by a threshold for soft targets"
REQUIREMENT = "FL-VAL-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "Blend it: alpha t + (1 - alpha) (1 - t)."
THRESHOLD = 0.5
TRIED = {"THRESHOLD": (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)}


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    if alpha is None or right.is_signed(options):
        return right.loss(logits, targets, alpha=alpha, **options)
    value, gradient = right.loss(logits, targets, alpha=None, **options)
    weight = right.weight(targets >= THRESHOLD, alpha)
    hard, slope = right.loss(logits, targets, alpha=alpha, **options)
    soft = ~right.is_hard(targets)
    return (
        np.where(soft, right.rounded(weight * value, hard), hard),
        np.where(soft, right.rounded(weight * gradient, slope), slope),
    )
