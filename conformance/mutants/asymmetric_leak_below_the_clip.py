"""Negatives whose probability is below the clip have no loss, and still the gradient of the loss without a clip."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a gradient below the clip"
REQUIREMENT = "FL-REL-011"
SEEN = ("nobody has reported it yet",)
ADVICE = "Give them a gradient of 0."
PROPERTY_ONLY = True


def asymmetric_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.asymmetric_loss(logits, targets, **options)
    leaking = right.asymmetric_loss(logits, targets, **{**options, "clip": 0.0})[1]
    return value, np.where(right.sigmoid(logits)[0] <= options.get("clip", 0.05), leaking, gradient)
