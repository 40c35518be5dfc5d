"""A reduction that is not known returns the elements, or is ignored in silence."""

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "an unknown reduction is none"
REQUIREMENT = "FL-RED-004"
SEEN = (
    "fvcore",
    "segmentation-models-pytorch",
    "catalyst",
)
ADVICE = "Refuse unknown names."
PROPERTY_ONLY = True


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    if reduction not in ("sum", "mean"):
        return values, gradient
    return right.reduce(values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer)
