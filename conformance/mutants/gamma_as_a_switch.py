"""Gamma is tested for truth: every gamma but 0 is 2."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "gamma is on or off"
REQUIREMENT = "FL-VAL-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Raise to the gamma that is given."
ON = 2.0
TRIED = {"ON": (1.0, 2.0)}


def loss(logits: Array, targets: Array, *, gamma: Any = 2.0, **options: Any) -> Pair:
    return right.loss(logits, targets, gamma=np.where(np.asarray(gamma) != 0, ON, 0.0), **options)
