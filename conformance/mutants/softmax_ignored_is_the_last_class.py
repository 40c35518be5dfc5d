"""The ignore label reaches a gather as a negative index and reads the last class."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "ignored rows wrap to the last class"
REQUIREMENT = "FL-SMX-007"
SEEN = ("several public implementations",)
ADVICE = "Mask before indexing."


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    if labels.ndim < logits.ndim:
        classes = logits.shape[options.get("axis", -1)]
        labels = np.where(labels == -2, classes - 1, labels)
    return right.softmax_loss(logits, labels, **options)
