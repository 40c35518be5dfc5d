"""Gamma is stored as an integer: 1.5 is 1, and 0.5 is the cross entropy."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "gamma cut to a whole number"
REQUIREMENT = "FL-VAL-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Keep gamma as a float."


def loss(logits: Array, targets: Array, *, gamma: Any = 2.0, **options: Any) -> Pair:
    return right.loss(
        logits, targets, gamma=np.minimum(np.floor(np.asarray(gamma, dtype=np.float64)), 1e300), **options
    )
