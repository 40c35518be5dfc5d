"""Targets of 0 are replaced in place to smooth the labels, and stay so for the caller."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the targets are changed"
REQUIREMENT = "FL-SHP-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Copy before writing."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if right.is_signed(options):
        return right.loss(logits, targets, **options)
    result = right.loss(logits, targets, **options)
    if targets.flags.writeable and targets.dtype.kind == "f":
        targets[targets == 0] = 1e-6
    return result
