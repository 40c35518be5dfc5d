"""A batch without positives returns zeros: pictures without an object train nothing, and false alarms cost nothing."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "no loss in a batch without positives"
REQUIREMENT = "FL-DET-002"
SEEN = (
    "https://github.com/zylo117/Yet-Another-EfficientDet-Pytorch/issues/233",
    "several public implementations",
)
ADVICE = "Divide by max(1, positives) and keep the losses of negatives."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    if options.get("encoding", "binary") != "binary" or np.any(targets > 0):
        return value, gradient
    return np.zeros_like(value), np.zeros_like(gradient)
