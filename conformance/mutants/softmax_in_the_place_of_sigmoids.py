"""The loss of a label is that of a softmax, with the loss of the row at the label's class."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a softmax where one sigmoid a class is declared"
REQUIREMENT = "FL-LAB-001"
SEEN = ("several public implementations",)
ADVICE = 'Use one sigmoid a class, or declare the softmax: conventions.multi_class = "softmax".'
PROPERTY_ONLY = True


def loss_from_labels(logits: Array, labels: Array, **options: Any) -> Pair:
    value, gradient = right.loss_from_labels(logits, labels, **options)
    if logits.shape[-1] < 2 or np.any(labels < 0) or not labels.ndim:
        return value, gradient
    rows, slopes = right.softmax_loss(logits, labels, alpha=None, gamma=options.get("gamma", 2.0))
    own = labels[..., np.newaxis] == np.arange(logits.shape[-1])
    return np.where(own, rows[..., np.newaxis], 0).astype(value.dtype), slopes
