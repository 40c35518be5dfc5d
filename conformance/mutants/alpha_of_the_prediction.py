"""The weight is chosen by the predicted class, not by the target."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha of the predicted class"
REQUIREMENT = "FL-VAL-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Choose the weight by the target."


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    weight = right.weight(logits > 0, alpha)
    return right.weighed(logits, targets, weight, alpha=alpha, **options)
