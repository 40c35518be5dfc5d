"""Reduction "sum" averages over the second axis and adds up the first."""

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "mean(1).sum()"
REQUIREMENT = "FL-DECL-009"
SEEN = (
    "https://github.com/fundamentalvision/Deformable-DETR/issues/172",
    "DETR's sigmoid_focal_loss, loss.mean(1).sum(), and transformers' copy of it",
)
ADVICE = 'Add up all elements, or declare it: conventions.sum = "unsupported".'
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    total, slope = right.reduce(
        values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer
    )
    columns = max(1, values.shape[1]) if reduction == "sum" and values.ndim > 1 else 1
    return right.rounded(total / columns, total), right.rounded(slope / columns, slope)
