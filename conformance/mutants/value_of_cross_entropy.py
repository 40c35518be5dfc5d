"""The gradient is that of the focal loss, the value that of the cross entropy: curves show what nobody trains."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the value without the factor"
REQUIREMENT = "FL-VAL-001"
SEEN = ("https://github.com/davisking/dlib/pull/2552",)
ADVICE = "Return the loss that the gradient belongs to."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value = right.loss(logits, targets, **{**options, "gamma": 0.0})[0]
    return value, right.loss(logits, targets, **options)[1]
