"""Alpha is an argument that nothing reads: 0.25, 10 and 100 give the same loss."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha accepted and ignored"
REQUIREMENT = "FL-VAL-004"
SEEN = (
    "https://github.com/zylo117/Yet-Another-EfficientDet-Pytorch/issues/205",
    "keras BinaryFocalCrossentropy with apply_class_balancing=False",
)
ADVICE = "Apply alpha, or have no such argument."
ALPHA = None
TRIED = {"ALPHA": (None, 0.25, 0.5, 0.75, 1.0)}


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    return right.loss(logits, targets, alpha=ALPHA, **options)
