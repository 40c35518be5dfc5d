"""Rows of targets are averaged over the classes where they have to be added up."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "one-hot rows divided by the number of classes"
REQUIREMENT = "FL-SMX-009"
SEEN = ("nobody has reported it yet",)
ADVICE = "Add up over the classes."
PROPERTY_ONLY = True


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    if labels.ndim == logits.ndim:
        labels = labels.astype(np.float64) / logits.shape[options.get("axis", -1)]
    return right.softmax_loss(logits, labels, **options)
