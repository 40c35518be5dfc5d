"""Positives are weighed by (1 - p)^gamma and their quality; the loss weighs them by their quality alone."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the focal factor on positives as well"
REQUIREMENT = "FL-REL-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Leave the factor out for positives."


def varifocal_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.varifocal_loss(logits, targets, **options)
    factor = right.sigmoid(logits)[1] ** options.get("gamma", 2.0)
    return np.where(targets > 0, right.rounded(factor, logits) * value, value), gradient
