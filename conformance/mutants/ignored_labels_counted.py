"""Ignored elements have no loss and still count in the denominator: 0.0916 in the place of 1.0986."""

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "ignored labels count in the mean"
REQUIREMENT = "FL-RED-007"
SEEN = (
    "https://github.com/qubvel-org/segmentation_models.pytorch/issues/852",
    "kornia's focal_loss with ignore_index",
)
ADVICE = "Divide by the number of elements that are not ignored."
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    total, slope = right.reduce(
        values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer
    )
    share = 1.0
    if reduction == "mean" and values.size:
        share = np.count_nonzero(right.counted(function, targets, values)) / values.size
    return right.rounded(total * share, total), right.rounded(slope * share, slope)
