"""Reduction "sum" averages over all axes but the first and adds up what is left."""

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a sum that averages over the spatial axes"
REQUIREMENT = "FL-DECL-009"
SEEN = (
    "MONAI's FocalLoss",
    "DETR's mean(1).sum()",
)
ADVICE = "Add up every element."
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    rows = values.size // values.shape[0] if values.ndim > 1 and reduction == "sum" and values.size else 1
    total, slope = right.reduce(
        values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer
    )
    return right.rounded(total / rows, total), right.rounded(slope / rows, slope)
