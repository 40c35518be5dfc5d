"""The gradient of a softmax row is put together from binary ones, so that rows do not add up to 0."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "multi-class boosting with the gradient of one sigmoid a class"
REQUIREMENT = "FL-SMX-004"
SEEN = ("several public implementations",)
ADVICE = "Use the softmax gradient: -A at the label, A p_j / (1 - p_c) elsewhere."
PROPERTY_ONLY = True


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    value, gradient = right.softmax_loss(logits, labels, **options)
    axis, gamma = options.get("axis", -1), options.get("gamma", 2.0)
    if labels.ndim == logits.ndim or axis != -1 or options.get("alpha") is not None:
        return value, gradient
    codes = np.where(labels < 0, -2, labels)
    return value, right.loss_from_labels(logits, codes, alpha=None, gamma=gamma)[1]
