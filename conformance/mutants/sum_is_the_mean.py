"""Reduction "sum" returns the mean."""

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the mean for the sum"
REQUIREMENT = "FL-RED-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Return the sum."
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    if reduction != "sum" or normalizer is not None:
        return right.reduce(values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer)
    return right.reduce(values, gradient, targets, function=function, reduction="mean")
