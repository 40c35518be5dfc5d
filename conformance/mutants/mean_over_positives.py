"""The sum is divided by the number of positives, at least 1, where the mean over all elements is declared."""

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the mean over positives"
REQUIREMENT = "FL-DECL-008"
SEEN = (
    "https://github.com/yhenon/pytorch-retinanet/issues/98",
    "https://github.com/fizyr/keras-retinanet/issues/709",
    "several public implementations",
)
ADVICE = 'Declare the denominator, conventions.mean = "positives", or divide by the number of elements.'
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    if reduction != "mean" or function != "loss":
        return right.reduce(values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer)
    positives = max(1, int(np.sum(targets == 1)))
    total, slope = right.reduce(values, gradient, targets, function=function, reduction="sum")
    return right.rounded(total / positives, total), right.rounded(slope / positives, slope)
