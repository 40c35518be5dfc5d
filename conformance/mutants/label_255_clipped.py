"""A label of 255, or of C, is clipped to the last class."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "labels that are no class clipped to one"
REQUIREMENT = "FL-LAB-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Refuse such labels, or make their elements NaN."
PROPERTY_ONLY = True
CHECKS_ARGUMENTS = False


def loss_from_labels(logits: Array, labels: Array, **options: Any) -> Pair:
    return right.loss_from_labels(logits, np.clip(labels, -2, logits.shape[-1] - 1).astype(np.int64), **options)
