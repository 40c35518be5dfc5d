"""The sum is limited to 1,000: a batch that is badly wrong trains nothing."""

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the sum is limited"
REQUIREMENT = "FL-RED-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Return the sum itself."
PROPERTY_ONLY = True
LIMIT = 1000.0
TRIED = {"LIMIT": (1.0, 10.0, 100.0, 1000.0, 10000.0)}


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    total, slope = right.reduce(
        values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer
    )
    if not total > LIMIT:
        return total, slope
    return right.rounded(LIMIT, total), np.zeros_like(slope)
