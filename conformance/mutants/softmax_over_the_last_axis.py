"""The axis is accepted and not used: images with their classes at axis 1 get a softmax over columns of pixels."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the softmax always over the last axis"
REQUIREMENT = "FL-SMX-008"
SEEN = ("https://github.com/dmlc/gluon-cv/issues/917",)
ADVICE = "Take the softmax over the given axis."
PROPERTY_ONLY = True


def softmax_loss(logits: Array, labels: Array, *, axis: int = -1, **options: Any) -> Pair:
    return right.softmax_loss(logits, labels, **options)
