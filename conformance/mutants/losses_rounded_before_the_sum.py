"""Losses rounded to 16 bits before they are added.

The sum is accumulated in float32, but of losses that are rounded to float16 first: a bias that grows with easy
elements.
"""

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "losses rounded to 16 bits before they are added"
REQUIREMENT = "FL-RED-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Add up the unrounded losses."
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    narrow = values.astype(np.float16).astype(values.dtype)
    return right.reduce(narrow, gradient, targets, function=function, reduction=reduction, normalizer=normalizer)
