"""The mean over positives divides by zero where there are none: NaN, or infinity, for a picture without objects."""

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the mean over positives without a limit of one"
REQUIREMENT = "FL-RED-002"
SEEN = (
    "https://github.com/kuangliu/pytorch-retinanet/issues/14",
    "https://github.com/richardaecn/class-balanced-loss/issues/16",
    "several public implementations",
)
ADVICE = 'Divide by max(1, positives), and declare it: conventions.mean = "positives".'
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    if reduction != "mean" or function != "loss":
        return right.reduce(values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer)
    positives = np.sum(targets == 1).astype(np.float64)
    total, slope = right.reduce(values, gradient, targets, function=function, reduction="sum")
    return right.rounded(total / positives, total), right.rounded(slope / positives, slope)
