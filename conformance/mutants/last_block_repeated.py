"""The last block is moved back so that it is full, and its sums are added again: 70,001 is a tail."""

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "elements of the last block counted twice"
REQUIREMENT = "FL-RED-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Mask what an earlier block has added."
PROPERTY_ONLY = True
BLOCK = 1024
TRIED = {"BLOCK": (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 65536)}


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    total, slope = right.reduce(
        values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer
    )
    rest = values.size % BLOCK
    if values.size < BLOCK or not rest:
        return total, slope
    by = right.divisor(function, values, targets, reduction, normalizer)
    again = values.reshape(-1)[-BLOCK:-rest].astype(np.float64).sum()
    return right.rounded(total + again / by, total), slope
