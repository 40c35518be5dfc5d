"""The factor is (1 - p_t)^(gamma / 2), the square root of the declared one."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the square root of the factor"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Raise 1 - p_t to the power of gamma."
SCALE = 0.5
TRIED = {"SCALE": (0.25, 0.5, 1.5, 2.0, 3.0)}


def loss(logits: Array, targets: Array, *, gamma: Any = 2.0, **options: Any) -> Pair:
    return right.loss(logits, targets, gamma=np.asarray(gamma, np.float64) * SCALE, **options)
