"""The last result is kept by the address of the logits: an array whose numbers have changed gets the old losses."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a result kept by the address of the logits"
REQUIREMENT = "FL-DET-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Keep nothing, or compare the numbers."
PROPERTY_ONLY = True

KEPT: list[tuple[Array, str, Pair]] = []


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    for kept, others, result in KEPT:
        if kept is logits and others == str(options):
            return result
    value, gradient = right.loss(logits, targets, **options)
    KEPT[:] = [(logits, str(options), (value, gradient))]
    return value.copy(), gradient.copy()
