"""The gradient has a factor of 2 too many, the value has not."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the gradient times a constant"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Differentiate what is returned."
SCALE = 2.0
TRIED = {"SCALE": (0.1, 0.5, 2.0, 10.0, 100.0)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return value, right.rounded(gradient * SCALE, gradient)
