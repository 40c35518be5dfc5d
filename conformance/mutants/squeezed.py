"""The result is squeezed: logits of shape (1, 1, 2, 1) give losses of shape (2,)."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "axes of length 1 disappear"
REQUIREMENT = "FL-SHP-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Keep the shape of the logits."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return np.squeeze(value), gradient
