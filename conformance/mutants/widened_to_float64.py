"""A constant of float64 widens the result."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "float64 results of float32 logits"
REQUIREMENT = "FL-SHP-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Return the logits' dtype."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return value.astype(np.float64), gradient.astype(np.float64)
