"""Labels are shifted by one in their own dtype to make room for the background, and an unsigned 0 wraps to the top."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "unsigned labels compared after a subtraction"
REQUIREMENT = "FL-LAB-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Convert labels to a signed type of 64 bits first."
PROPERTY_ONLY = True


def loss_from_labels(logits: Array, labels: Array, **options: Any) -> Pair:
    if labels.dtype.kind == "u":
        wrapped = (labels - labels.dtype.type(1)).astype(np.int64)
        labels = np.where(wrapped >= logits.shape[-1], -1, wrapped + 1)
    return right.loss_from_labels(logits, labels, **options)
