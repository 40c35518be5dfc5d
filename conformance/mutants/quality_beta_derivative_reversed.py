"""The derivative of the quality focal loss in its exponent is positive where the loss falls with it."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "the derivative in beta with the wrong sign"
REQUIREMENT = "FL-GRAD-015"
SEEN = ("nobody has reported it yet",)
ADVICE = "The derivative is the loss times log|t - p|, which is not positive."


def parameter_gradients(logits: Array, targets: Array, *, function: str, **options: Any) -> dict[str, Array]:
    result = right.parameter_gradients(logits, targets, function=function, **options)
    return {**result, "beta": -result["beta"]} if function == "quality_focal_loss" else result
