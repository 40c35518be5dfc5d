"""Negatives weigh 1 - alpha, positives 1."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "1 - alpha on negatives, nothing on positives"
REQUIREMENT = "FL-VAL-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply positives by alpha."


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    positive = right.terms(logits, targets, None, 0.0).sign > 0
    weight = np.where(positive, 1.0, 1.0 if alpha is None else 1.0 - np.asarray(alpha))
    return right.weighed(logits, targets, weight, alpha=alpha, **options)
