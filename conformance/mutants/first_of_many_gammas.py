"""Gamma is converted to a number, and of an array that is the first one."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "an array of gammas is read at its first entry"
REQUIREMENT = "FL-VAL-011"
SEEN = ("nobody has reported it yet",)
ADVICE = "Let gamma broadcast to the logits."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, *, gamma: Any = 2.0, **options: Any) -> Pair:
    return right.loss(logits, targets, gamma=float(np.reshape(gamma, -1)[0]), **options)
