"""A kernel takes the absolute value of the strides: a reversed view gives the losses of the reversed elements."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "negative strides read forwards"
REQUIREMENT = "FL-SHP-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Make the inputs contiguous, or use their strides."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    backwards = tuple(slice(None, None, -1 if step < 0 else 1) for step in logits.strides)
    return value[backwards].copy(), gradient[backwards].copy()
