"""A temperature of 2 was left in: two classes are not the binary loss of the difference of their logits."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "logits halved before the softmax"
REQUIREMENT = "FL-SMX-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "Take the softmax of the logits."
PROPERTY_ONLY = True
TEMPERATURE = 2.0
TRIED = {"TEMPERATURE": (0.1, 0.5, 1.5, 2.0, 4.0, 5.0, 10.0)}


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    value, gradient = right.softmax_loss(logits / logits.dtype.type(TEMPERATURE), labels, **options)
    return value, gradient / gradient.dtype.type(TEMPERATURE)
