"""Gamma is limited to 5, and larger ones are 5 in silence."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "gamma limited from above"
REQUIREMENT = "FL-VAL-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Raise to the gamma that is given."
LARGEST = 5.0
TRIED = {"LARGEST": (1.0, 2.0, 3.0, 4.0, 5.0, 10.0)}


def loss(logits: Array, targets: Array, *, gamma: Any = 2.0, **options: Any) -> Pair:
    return right.loss(logits, targets, gamma=np.minimum(gamma, LARGEST), **options)
