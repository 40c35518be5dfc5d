"""nan_to_num on the loss: a NaN logit costs nothing, and a model that has diverged looks converged."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "NaN turned into a number"
REQUIREMENT = "FL-EXT-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Let NaN through; it is the only sign that a model is lost."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return np.where(np.isnan(value), 0, value).astype(value.dtype), np.where(np.isnan(gradient), 0, gradient).astype(
        gradient.dtype
    )
