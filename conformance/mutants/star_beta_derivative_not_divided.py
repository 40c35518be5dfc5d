"""The factor 1 / gamma of the loss is missing in its derivative in beta."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "the derivative of FL* in beta not divided by gamma"
REQUIREMENT = "FL-GRAD-014"
SEEN = ("nobody has reported it yet",)
ADVICE = "Divide by gamma."


def parameter_gradients(logits: Array, targets: Array, *, function: str, **options: Any) -> dict[str, Array]:
    result = right.parameter_gradients(logits, targets, function=function, **options)
    if function != "star_loss":
        return result
    return {**result, "beta": result["beta"] * right.rounded(options.get("gamma", 2.0), logits)}
