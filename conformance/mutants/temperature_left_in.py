"""The logits are divided by a temperature of 2."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "logits divided by a temperature"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Take the logits as they are."
TEMPERATURE = 2.0
TRIED = {"TEMPERATURE": (0.1, 0.25, 1.5, 2.0, 3.0, 4.0, 5.0, 10.0)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits / logits.dtype.type(TEMPERATURE), targets, **options)
    return value, gradient / gradient.dtype.type(TEMPERATURE)
