"""Gamma is limited to at least 1, because fractional powers have infinite slopes at 0."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "gamma limited from below"
REQUIREMENT = "FL-VAL-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Raise to the gamma that is given; the derivative is finite for all of them."
SMALLEST = 1.0
TRIED = {"SMALLEST": (0.01, 0.1, 0.5, 1.0, 2.0)}


def loss(logits: Array, targets: Array, *, gamma: Any = 2.0, **options: Any) -> Pair:
    return right.loss(logits, targets, gamma=np.maximum(gamma, SMALLEST), **options)
