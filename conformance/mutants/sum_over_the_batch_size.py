"""Reduction "sum" is divided by the size of the batch, as where "batchmean" was meant."""

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the sum divided by the batch"
REQUIREMENT = "FL-RED-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Return the sum itself."
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    total, slope = right.reduce(
        values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer
    )
    rows = max(1, values.shape[0]) if reduction == "sum" and values.ndim else 1
    return right.rounded(total / rows, total), right.rounded(slope / rows, slope)
