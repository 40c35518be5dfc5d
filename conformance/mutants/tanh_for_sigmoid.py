"""p is (1 + tanh(x)) / 2, which is the sigmoid of 2 x."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "tanh of x, not of x / 2"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "The sigmoid is (1 + tanh(x / 2)) / 2."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits * logits.dtype.type(2), targets, **options)
    return value, gradient * gradient.dtype.type(2)
