"""Positives of the varifocal loss do not depend on alpha, and contribute 1 each."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "alpha gets a derivative from positives"
REQUIREMENT = "FL-GRAD-016"
SEEN = ("nobody has reported it yet",)
ADVICE = "Give them a derivative of 0."


def parameter_gradients(logits: Array, targets: Array, *, function: str, **options: Any) -> dict[str, Array]:
    result = right.parameter_gradients(logits, targets, function=function, **options)
    if function != "varifocal_loss":
        return result
    return {**result, "alpha": np.where(targets > 0, logits.dtype.type(1), result["alpha"])}
