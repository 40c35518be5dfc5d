"""The distance is outside of the power, and beta raises the cross entropy."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the exponent on the cross entropy"
REQUIREMENT = "FL-REL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Raise the distance |t - p| to the power of beta."


def quality_focal_loss(logits: Array, targets: Array, *, beta: Any = 2.0, **options: Any) -> Pair:
    gradient = right.quality_focal_loss(logits, targets, beta=beta, **options)[1]
    p, _ = right.sigmoid(logits)
    entropy = right.quality_focal_loss(logits.astype(np.float64), targets.astype(np.float64), beta=0.0)[0]
    return right.rounded(np.abs(targets - p) * entropy**beta, logits), gradient
