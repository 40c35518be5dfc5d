"""A temperature of 2 was left in: two classes are not the binary loss of the difference of their logits."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "logits halved before the softmax"
REQUIREMENT = "FL-SMX-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "Take the softmax of the logits."
PROPERTY_ONLY = True


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    value, gradient = right.softmax_loss(logits / logits.dtype.type(2), labels, **options)
    return value, gradient / gradient.dtype.type(2)
