"""The sum is divided by the first dimension, not by the number of elements."""

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the mean over rows"
REQUIREMENT = "FL-RED-002"
SEEN = ("several public implementations",)
ADVICE = 'Divide by the number of elements, or declare the denominator: conventions.mean = "rows".'
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    total, slope = right.reduce(
        values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer
    )
    columns = values.size / values.shape[0] if reduction == "mean" and values.ndim > 1 and values.size else 1.0
    return right.rounded(total * columns, total), right.rounded(slope * columns, slope)
