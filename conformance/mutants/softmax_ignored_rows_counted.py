"""Ignored rows have no loss and still count in the denominator."""

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "ignored rows in the denominator"
REQUIREMENT = "FL-RED-007"
SEEN = (
    "https://github.com/qubvel-org/segmentation_models.pytorch/issues/852",
    "kornia's focal_loss with ignore_index: 0.0916 in the place of 1.0986",
)
ADVICE = "Divide by the number of rows that are not ignored."
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    if reduction != "mean" or function != "softmax_loss":
        return right.reduce(values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer)
    total, slope = right.reduce(values, gradient, targets, function=function, reduction="sum")
    rows = max(1, values.size)
    return right.rounded(total / rows, total), right.rounded(slope / rows, slope)
