"""The mean is over the losses that are not zero: easy elements that underflow leave the denominator."""

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the mean over what is not zero"
REQUIREMENT = "FL-RED-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Divide by the number of elements."
PROPERTY_ONLY = True
THRESHOLD = 0.0
TRIED = {"THRESHOLD": (0.0, 1e-8, 1e-6, 1e-4, 1e-3)}


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    if reduction != "mean":
        return right.reduce(values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer)
    total, slope = right.reduce(values, gradient, targets, function=function, reduction="sum")
    count = max(1, int(np.count_nonzero(values > THRESHOLD)))
    return right.rounded(total / count, total), right.rounded(slope / count, slope)
