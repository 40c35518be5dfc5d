"""The cross entropy of the scaled logit is returned as it is."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "FL* not divided by gamma"
REQUIREMENT = "FL-STAR-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Divide by gamma."


def star_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    gamma = options.get("gamma", 2.0)
    value, gradient = right.star_loss(logits, targets, **options)
    return value * right.rounded(gamma, value), gradient * right.rounded(gamma, gradient)
