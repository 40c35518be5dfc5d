"""The mean of nothing is 0 / 0."""

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "empty input gives NaN"
REQUIREMENT = "FL-RED-005"
SEEN = ("torchvision's sigmoid_focal_loss",)
ADVICE = "Divide by max(1, n)."
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    total, slope = right.reduce(
        values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer
    )
    return (total if values.size or reduction != "mean" else values.dtype.type(np.nan)), slope
