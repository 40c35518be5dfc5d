"""The label of a soft row is its argmax: label smoothing changes nothing."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "soft rows replaced by their largest class"
REQUIREMENT = "FL-SMX-010"
SEEN = ("nobody has reported it yet",)
ADVICE = "Add up the losses of the classes by their shares."


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    if labels.ndim == logits.ndim:
        labels = labels.argmax(axis=options.get("axis", -1))
    return right.softmax_loss(logits, labels, **options)
