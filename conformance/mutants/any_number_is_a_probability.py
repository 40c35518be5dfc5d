"""Logits handed to the loss of probabilities are clipped, and train on nonsense for hours."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "numbers outside of [0, 1] clipped to probabilities"
REQUIREMENT = "FL-SHP-008"
SEEN = ("nobody has reported it yet",)
ADVICE = "Refuse them, or make their elements NaN."
PROPERTY_ONLY = True
CHECKS_ARGUMENTS = False


def loss_from_probabilities(probabilities: Array, targets: Array, **options: Any) -> Pair:
    return right.loss_from_probabilities(np.clip(probabilities, 0, 1), targets, **options)
