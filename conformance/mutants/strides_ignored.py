"""Memory read in its own order.

A kernel walks through the memory of the logits and ignores their strides: a transposed view gives the losses of other
elements.
"""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "memory read in its own order"
REQUIREMENT = "FL-SHP-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Make the inputs contiguous, or use their strides."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if logits.ndim != 2 or logits.flags.c_contiguous or not logits.flags.f_contiguous:
        return right.loss(logits, targets, **options)
    value, gradient = right.loss(logits, targets, **options)
    return value.T.reshape(value.shape), gradient.T.reshape(gradient.shape)
