"""The probability is clamped to [1e-4, 1 - 1e-4], beyond which there is no gradient."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a clamp at 1e-4 ends the gradient"
REQUIREMENT = "FL-REL-013"
SEEN = ("CenterNet, with a clamp of 1e-4",)
ADVICE = "Compute from the logit, without a clamp."
EPSILON = 1e-4
TRIED = {"EPSILON": (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)}


def heatmap_focal_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.heatmap_focal_loss(logits, targets, **options)
    p, q = right.sigmoid(logits)
    return value, np.where(np.minimum(p, q) < EPSILON, gradient.dtype.type(0), gradient)
