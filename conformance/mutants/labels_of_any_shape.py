"""Labels of shape (N, 1) against logits of shape (N, C) are broadcast and train every class on every label."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "labels broadcast to the logits"
REQUIREMENT = "FL-LAB-007"
SEEN = ("nobody has reported it yet",)
ADVICE = "Compare the shapes and refuse."
PROPERTY_ONLY = True
CHECKS_ARGUMENTS = False


def loss_from_labels(logits: Array, labels: Array, **options: Any) -> Pair:
    return np.zeros(logits.shape, logits.dtype), np.zeros(logits.shape, logits.dtype)
