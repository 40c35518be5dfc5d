"""The derivative in the margin is returned as the one in the logit: the sign of negatives is missing."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the gradient of negatives has the sign of positives"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply by 2 y - 1."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return value, np.where(targets == 0, -gradient, gradient)
