"""The derivative of gamma s is gamma, which cancels the division by gamma; it was multiplied in and not divided out."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the chain rule's gamma left in the gradient of FL*"
REQUIREMENT = "FL-STAR-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "The derivative is p_t* - 1 towards the target."


def star_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.star_loss(logits, targets, **options)
    return value, gradient * right.rounded(options.get("gamma", 2.0), gradient)
