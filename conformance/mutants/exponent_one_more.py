"""The factor is (1 - p_t)^(gamma + 1), as where the slope's power has been taken for the loss's."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "gamma + 1 in the exponent"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Raise 1 - p_t to the power of gamma."
ADDED = 1.0
TRIED = {"ADDED": (0.5, 1.0, 2.0)}


def loss(logits: Array, targets: Array, *, gamma: Any = 2.0, **options: Any) -> Pair:
    return right.loss(logits, targets, gamma=np.asarray(gamma, np.float64) + ADDED, **options)
