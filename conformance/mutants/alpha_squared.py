"""Alpha weighs the cross entropy and then the loss again."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha applied twice"
REQUIREMENT = "FL-VAL-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Apply it once."


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    weight = right.terms(logits, targets, alpha, 0.0).weight ** 2
    return right.weighed(logits, targets, weight, alpha=alpha, **options)
