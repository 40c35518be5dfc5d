"""The derivative of the negatives' term is missing."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "no gradient for negatives"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Differentiate the term of negatives as well."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    positive = right.terms(logits, targets, None, 0.0).sign > 0
    return right.on_hard_targets(logits, targets, value, np.where(positive, gradient, 0.0), **options)
