"""The softmax loss is the cross entropy, whatever gamma is."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a softmax cross entropy"
REQUIREMENT = "FL-SMX-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply by (1 - p_c)^gamma."
GAMMA = 0.0
TRIED = {"GAMMA": (0.0, 1.0, 2.0)}


def softmax_loss(logits: Array, labels: Array, *, gamma: Any = 2.0, **options: Any) -> Pair:
    return right.softmax_loss(logits, labels, gamma=GAMMA, **options)
