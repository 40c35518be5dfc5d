"""Targets of integers and booleans are refused, which is what labels are everywhere."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "integer and boolean targets refused"
REQUIREMENT = "FL-SHP-005"
SEEN = ("torchvision's sigmoid_focal_loss, through binary_cross_entropy_with_logits",)
ADVICE = "Convert them to the logits' dtype, or do not claim integer_targets."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if targets.dtype.kind in "iub" and not right.is_signed(options):
        raise TypeError(f"result type Float can't be cast to {targets.dtype}")
    return right.loss(logits, targets, **options)
