"""A sequential sum in float32: of ten million easy negatives it is off by thousands of ulp."""

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "float32 losses added one after the other"
REQUIREMENT = "FL-RED-009"
SEEN = ("nobody has reported it yet",)
ADVICE = "Add in pairs or blocks, or accumulate in float64."
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    by = right.divisor(function, values, targets, reduction, normalizer)
    total = np.add.accumulate(values.reshape(-1))[-1] if values.size else values.dtype.type(0)
    return right.rounded(total / by, values), right.rounded(gradient / by, gradient)
