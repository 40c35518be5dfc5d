"""The sum is accumulated in float16, which is infinite from 65,520 on and has no digits left long before."""

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "float16 losses added up in float16"
REQUIREMENT = "FL-RED-001"
SEEN = ("several public implementations",)
ADVICE = "Accumulate in float32 or wider, and return float32."
DTYPE = "float16"
TIER = "exact"
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    by = right.divisor(function, values, targets, reduction, normalizer)
    total = np.add.accumulate(values.reshape(-1))[-1] if values.size else np.float16(0)
    return np.asarray(total / by, np.float32), right.rounded(gradient / by, gradient)
