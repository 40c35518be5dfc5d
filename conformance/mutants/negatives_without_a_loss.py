"""The term of 1 - y is missing: negatives have no loss and no gradient."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the negatives' term is missing"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Add the term of negatives."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    t = right.terms(logits, targets, None, 0.0)
    value, gradient = right.loss(logits, targets, **options)
    value, gradient = np.where(t.sign > 0, value, 0.0), np.where(t.sign > 0, gradient, 0.0)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
