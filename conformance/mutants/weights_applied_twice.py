"""Weights multiply the cross entropy and then the loss again: they are squared."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "weights applied twice"
REQUIREMENT = "FL-VAL-011"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply once."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    weights = options.pop("weights", None)
    return right.loss(logits, targets, weights=None if weights is None else weights**2, **options)
