"""The sum over the classes is sequential, in the format of the logits, and 1 - p_c a difference of it."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "exponentials of a thousand classes added up one by one"
REQUIREMENT = "FL-SMX-012"
SEEN = ("nobody has reported it yet",)
ADVICE = "Add in pairs or in float64, and compute 1 - p_c from the other classes."
TIER = "exact"
PROPERTY_ONLY = True


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    value, gradient = right.softmax_loss(logits, labels, **options)
    if labels.ndim == logits.ndim or logits.shape[-1] < 100 or logits.dtype != np.float32:
        return value, gradient
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.add.accumulate(np.exp(shifted), axis=-1)[..., -1:])
    log_p = np.take_along_axis(log_p, labels[..., np.newaxis], axis=-1)[..., 0]
    return right.rounded((1 - np.exp(log_p)) ** np.float32(options.get("gamma", 2.0)) * -log_p, logits), gradient
