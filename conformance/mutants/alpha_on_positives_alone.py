"""Alpha multiplies positives; negatives keep the weight 1 where the paper has 1 - alpha."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "negatives keep the weight 1"
REQUIREMENT = "FL-VAL-004"
SEEN = ("MONAI's vector of weights",)
ADVICE = 'Multiply negatives by 1 - alpha, or declare the convention: conventions.alpha = "pos-only".'


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, alpha=None, **options)
    weight = 1.0 if alpha is None else np.where(targets == 1, alpha, 1.0)
    return right.rounded(value * weight, logits), right.rounded(gradient * weight, logits)
