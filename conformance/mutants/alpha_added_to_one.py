"""The weights are 1 + alpha_t: between 1 and 2 for every alpha."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "1 + alpha in the place of alpha"
REQUIREMENT = "FL-VAL-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply by alpha_t itself."


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    weight = right.terms(logits, targets, alpha, 0.0).weight + (alpha is not None)
    return right.weighed(logits, targets, weight, alpha=alpha, **options)
