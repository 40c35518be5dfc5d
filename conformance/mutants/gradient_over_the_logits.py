"""The gradient is computed in place: it lies in the caller's logits afterwards."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the gradient is written over the logits"
REQUIREMENT = "FL-SHP-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Write to memory of your own."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    if logits.flags.writeable and logits.shape == gradient.shape:
        logits[...] = gradient
        return value, logits
    return value, gradient
