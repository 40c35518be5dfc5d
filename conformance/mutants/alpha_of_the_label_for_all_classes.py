"""The weight of the label's class multiplies the losses of all classes of its row."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "one alpha a class picked by the label for all classes"
REQUIREMENT = "FL-LAB-006"
SEEN = ("several public implementations",)
ADVICE = "Weigh each class by its own alpha: alpha_c for positives, 1 - alpha_c for negatives."
PROPERTY_ONLY = True


def loss_from_labels(logits: Array, labels: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    alpha = alpha[labels][..., np.newaxis] if np.ndim(alpha) else alpha
    return right.loss_from_labels(logits, labels, alpha=alpha, **options)
