"""The value blends by the soft target, the gradient is that of 0 or 1."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the gradient of the nearest hard target"
REQUIREMENT = "FL-GRAD-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Differentiate the blended formula."
THRESHOLD = 0.5
TRIED = {"THRESHOLD": (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if right.is_signed(options):
        return right.loss(logits, targets, **options)
    value = right.loss(logits, targets, **options)[0]
    return value, right.loss(logits, (targets > THRESHOLD).astype(targets.dtype), **options)[1]
