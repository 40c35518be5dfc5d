"""The sum over all anchors is returned undivided."""

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the normalizer is not used"
REQUIREMENT = "FL-RED-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Divide by the normalizer."
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    right.divisor(function, values, targets, reduction, normalizer)  # refuses what is no normalizer
    return right.reduce(values, gradient, targets, function=function, reduction=reduction)
