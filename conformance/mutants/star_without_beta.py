"""beta is accepted and not used."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "FL* without its shift"
REQUIREMENT = "FL-STAR-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "FL* is -log(sigmoid(gamma s + beta)) / gamma."


def star_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    return right.star_loss(logits, targets, **{**options, "beta": 0.0})
