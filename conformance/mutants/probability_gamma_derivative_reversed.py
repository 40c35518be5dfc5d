"""The loss of probabilities has its own derivative in gamma, with the wrong sign."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "the derivative in gamma with the wrong sign, of probabilities"
REQUIREMENT = "FL-GRAD-012"
SEEN = ("nobody has reported it yet",)
ADVICE = "d/dgamma is the loss times log(1 - p_t), which is not positive."


def parameter_gradients(logits: Array, targets: Array, *, function: str, **options: Any) -> dict[str, Array]:
    result = right.parameter_gradients(logits, targets, function=function, **options)
    return {**result, "gamma": -result["gamma"]} if function == "loss_from_probabilities" else result
