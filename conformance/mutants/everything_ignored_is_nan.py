"""The mean over what is not ignored divides by zero when everything is."""

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "NaN where every label is ignored"
REQUIREMENT = "FL-RED-008"
SEEN = ("several public implementations",)
ADVICE = "Divide by max(1, n)."
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    total, slope = right.reduce(
        values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer
    )
    nothing = not right.counted(function, targets, values).any()
    return (total.dtype.type(np.nan) if nothing and reduction == "mean" else total), slope
