"""A label of C, or of -1, is clipped into the range of classes."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "labels of a softmax clipped into its classes"
REQUIREMENT = "FL-SMX-014"
SEEN = ("nobody has reported it yet",)
ADVICE = "Refuse such labels, or make their rows NaN."
PROPERTY_ONLY = True
CHECKS_ARGUMENTS = False


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    if labels.ndim < logits.ndim:
        classes = logits.shape[options.get("axis", -1)]
        labels = np.where(labels == -2, labels, np.clip(labels, 0, classes - 1)).astype(np.int64)
    return right.softmax_loss(logits, labels, **options)
