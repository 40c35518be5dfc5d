"""Reduction "mean" returns the sum."""

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the sum for the mean"
REQUIREMENT = "FL-RED-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Divide by the number of elements."
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    if reduction != "mean":
        return right.reduce(values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer)
    return right.reduce(values, gradient, targets, function=function, reduction="sum")
