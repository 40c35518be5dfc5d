"""-1 means ignored here and background elsewhere: negatives of every class have no loss."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "background left out of the loss"
REQUIREMENT = "FL-LAB-002"
SEEN = ("several public implementations",)
ADVICE = "Declare the codes: conventions.background and conventions.ignore."
PROPERTY_ONLY = True


def loss_from_labels(logits: Array, labels: Array, **options: Any) -> Pair:
    return right.loss_from_labels(logits, np.where(labels == -1, -2, labels), **options)
