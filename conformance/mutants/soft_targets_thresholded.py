"""Targets are compared with 1/2, or cast to booleans: label smoothing changes nothing."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "soft targets thresholded at 1/2"
REQUIREMENT = "FL-VAL-006"
SEEN = ("several public implementations",)
ADVICE = "Blend by the target, or refuse soft targets."
THRESHOLD = 0.5
TRIED = {"THRESHOLD": (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if right.is_signed(options):
        return right.loss(logits, targets, **options)
    return right.loss(logits, (targets > THRESHOLD).astype(targets.dtype), **options)
