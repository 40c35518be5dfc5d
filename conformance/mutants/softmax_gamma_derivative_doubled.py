"""The derivative in gamma is added up over the classes and once more over the label."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "twice the derivative of the softmax loss in gamma"
REQUIREMENT = "FL-GRAD-013"
SEEN = ("nobody has reported it yet",)
ADVICE = "Count each class once."


def parameter_gradients(logits: Array, targets: Array, *, function: str, **options: Any) -> dict[str, Array]:
    result = right.parameter_gradients(logits, targets, function=function, **options)
    return {**result, "gamma": 2 * result["gamma"]} if function == "softmax_loss" else result
