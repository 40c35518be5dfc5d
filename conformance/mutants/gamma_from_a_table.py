"""Powers come from a table for gamma = 0, 1/4, 1/2, ..., 5; every other gamma gets the nearest entry."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "gamma of the nearest quarter"
REQUIREMENT = "FL-VAL-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Compute the power for every gamma."
STEP = 0.25
LARGEST = 5.0
TRIED = {"STEP": (0.1, 0.2, 0.25, 0.5, 1.0), "LARGEST": (2.0, 3.0, 4.0, 5.0, 10.0)}


def loss(logits: Array, targets: Array, *, gamma: Any = 2.0, **options: Any) -> Pair:
    nearest = np.minimum(np.rint(np.asarray(gamma, dtype=np.float64) / STEP) * STEP, LARGEST)
    return right.loss(logits, targets, gamma=nearest, **options)
