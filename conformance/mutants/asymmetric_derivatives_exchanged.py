"""The exponent of positives gets the derivative in that of negatives."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "the derivatives in both exponents exchanged"
REQUIREMENT = "FL-GRAD-017"
SEEN = ("nobody has reported it yet",)
ADVICE = "Return them in the order of the arguments."


def parameter_gradients(logits: Array, targets: Array, *, function: str, **options: Any) -> dict[str, Array]:
    result = right.parameter_gradients(logits, targets, function=function, **options)
    if function != "asymmetric_loss":
        return result
    first, second = "gamma_positive", "gamma_negative"
    return {**result, first: result[second], second: result[first]}
