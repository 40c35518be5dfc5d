"""The gradient does not go through |t - p|^beta."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the distance taken as a constant"
REQUIREMENT = "FL-REL-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Let the gradient go through the distance."


def quality_focal_loss(logits: Array, targets: Array, *, beta: Any = 2.0, **options: Any) -> Pair:
    value = right.quality_focal_loss(logits, targets, beta=beta, **options)[0]
    p, _ = right.sigmoid(logits)
    return value, right.rounded(np.abs(targets - p) ** beta * (p - targets), logits)
