"""The background class is left out of the softmax: a false positive costs nothing."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the first logit dropped before the softmax"
REQUIREMENT = "FL-SMX-001"
SEEN = ("MONAI FocalLoss(include_background=False)",)
ADVICE = "Take the softmax over all classes, and leave the background's own loss out of the sum."


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    value, gradient = right.softmax_loss(logits, labels, **options)
    plain = labels.ndim < logits.ndim and options.get("axis", -1) == -1 and options.get("alpha") is None
    if not plain or logits.shape[-1] < 3 or np.any(labels < 0):
        return value, gradient
    others, slopes = right.softmax_loss(logits[..., 1:], np.maximum(labels - 1, 0), **options)
    of_background = labels == 0
    slopes = np.concatenate([np.zeros_like(slopes[..., :1]), slopes], axis=-1)
    return np.where(of_background, 0, others).astype(value.dtype), np.where(
        of_background[..., np.newaxis], 0, slopes
    ).astype(gradient.dtype)
