"""The papers call the exponents alpha and beta, and the names have changed places."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "the derivatives in gamma and beta exchanged"
REQUIREMENT = "FL-GRAD-018"
SEEN = ("nobody has reported it yet",)
ADVICE = "Return them in the order of the arguments."


def parameter_gradients(logits: Array, targets: Array, *, function: str, **options: Any) -> dict[str, Array]:
    result = right.parameter_gradients(logits, targets, function=function, **options)
    if function != "heatmap_focal_loss":
        return result
    return {**result, "gamma": result["beta"], "beta": result["gamma"]}
