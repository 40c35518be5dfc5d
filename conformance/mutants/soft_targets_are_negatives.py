"""Positives are selected with targets == 1, so that a smoothed label of 0.9 is a negative."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "only a target of exactly 1 is positive"
REQUIREMENT = "FL-VAL-006"
SEEN = ("several public implementations",)
ADVICE = "Blend by the target, or refuse soft targets."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if right.is_signed(options):
        return right.loss(logits, targets, **options)
    return right.loss(logits, (targets == 1).astype(targets.dtype), **options)
