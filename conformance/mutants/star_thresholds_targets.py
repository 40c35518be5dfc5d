"""FL* is not defined for soft targets, and here they are compared with 1/2 in silence."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "soft targets of FL* thresholded"
REQUIREMENT = "FL-STAR-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Refuse them, or make their elements NaN."
PROPERTY_ONLY = True
CHECKS_ARGUMENTS = False


def star_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    return right.star_loss(logits, (targets > 0.5).astype(logits.dtype), **options)
