"""An index of -2 into one-hot rows is the last class but one."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the ignore label wraps to a class"
REQUIREMENT = "FL-LAB-003"
SEEN = ("several public implementations",)
ADVICE = "Mask before indexing."
PROPERTY_ONLY = True


def loss_from_labels(logits: Array, labels: Array, **options: Any) -> Pair:
    return right.loss_from_labels(logits, np.where(labels == -2, logits.shape[-1] - 2, labels), **options)
