"""The sum is divided by the sum of alpha_t, as weighted cross entropies do."""

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the mean over the sum of the losses' weights"
REQUIREMENT = "FL-RED-002"
SEEN = ("several public implementations",)
ADVICE = 'Divide by the number of elements, or declare the denominator: conventions.mean = "weights".'
PROPERTY_ONLY = True
ALPHA = 0.25
TRIED = {"ALPHA": (0.1, 0.25, 0.5, 0.75, 0.9)}


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    if reduction != "mean" or function != "loss":
        return right.reduce(values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer)
    weights = right.weight(targets, ALPHA).sum()
    total, slope = right.reduce(values, gradient, targets, function=function, reduction="sum")
    return right.rounded(total / weights, total), right.rounded(slope / weights, slope)
