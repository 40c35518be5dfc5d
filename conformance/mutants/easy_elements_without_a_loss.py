"""Elements with p_t above 0.9 have neither loss nor gradient."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "no loss above a threshold of p_t"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Leave the weighting to the factor."
THRESHOLD = 0.9
TRIED = {"THRESHOLD": (0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99, 0.999)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    t = right.terms(logits, targets, None, 0.0)
    value, gradient = right.loss(logits, targets, **options)
    value, gradient = np.where(t.p > THRESHOLD, 0.0, value), np.where(t.p > THRESHOLD, 0.0, gradient)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
