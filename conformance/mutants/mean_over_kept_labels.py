"""Where a label is ignored the mean divides by the number of kept labels, not by that of their elements."""

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the classes forgotten in the mean of what is kept"
REQUIREMENT = "FL-RED-007"
SEEN = ("https://github.com/Project-MONAI/MONAI/pull/8757",)
ADVICE = "Count the elements of every kept label."
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    counted = right.counted(function, targets, values)
    if reduction != "mean" or function != "loss_from_labels" or counted.all():
        return right.reduce(values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer)
    classes = values.shape[-1]
    total, slope = right.reduce(values, gradient, targets, function=function, reduction="mean")
    return right.rounded(total * classes, total), right.rounded(slope * classes, slope)
