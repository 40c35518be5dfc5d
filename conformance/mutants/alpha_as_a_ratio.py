"""Alpha is a weight of positives against negatives, as pos_weight: alpha / (1 - alpha) and 1."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha as the ratio of the weights"
REQUIREMENT = "FL-VAL-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply positives by alpha and negatives by 1 - alpha."


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    positive = right.terms(logits, targets, None, 0.0).sign > 0
    ratio = 1.0 if alpha is None else np.asarray(alpha) / (1.0 - np.asarray(alpha))
    weight = np.where(positive, ratio, 1.0)
    return right.weighed(logits, targets, weight, alpha=alpha, **options)
