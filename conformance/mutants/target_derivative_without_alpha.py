"""Distillation differentiates by the teacher's targets, and alpha_t depends on them as well."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array

TITLE = "the derivative in a soft target without alpha"
REQUIREMENT = "FL-GRAD-011"
SEEN = ("nobody has reported it yet",)
ADVICE = "Differentiate alpha_t too."


def parameter_gradients(logits: Array, targets: Array, *, function: str, **options: Any) -> dict[str, Array]:
    result = right.parameter_gradients(logits, targets, function=function, **options)
    if function != "loss" or "targets" not in result:
        return result
    plain = right.parameter_gradients(logits, targets, function=function, **{**options, "alpha": None})
    return {**result, "targets": plain["targets"]}
