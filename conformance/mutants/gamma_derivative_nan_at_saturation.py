"""(1 - p_t)^gamma log(1 - p_t) is 0 times infinity where 1 - p_t underflows."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "NaN derivative in gamma at saturation"
REQUIREMENT = "FL-GRAD-020"
SEEN = ("nobody has reported it yet",)
ADVICE = "Take log(1 - p_t) = -softplus(s), and choose the limit with where."
PROPERTY_ONLY = True


def parameter_gradients(logits: Array, targets: Array, *, function: str, **options: Any) -> dict[str, Array]:
    result = right.parameter_gradients(logits, targets, function=function, **options)
    if function != "loss":
        return result
    return {**result, "gamma": np.where(np.abs(logits) > 88, result["gamma"].dtype.type(np.nan), result["gamma"])}
