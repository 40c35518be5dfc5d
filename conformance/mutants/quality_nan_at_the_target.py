"""|t - p|^(beta - 1) times 0 is NaN for a perfect prediction."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "NaN where the prediction meets its target"
REQUIREMENT = "FL-REL-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Choose 0 with where."
PROPERTY_ONLY = True


def quality_focal_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.quality_focal_loss(logits, targets, **options)
    return value, np.where(right.sigmoid(logits)[0] == targets, gradient.dtype.type(np.nan), gradient)
