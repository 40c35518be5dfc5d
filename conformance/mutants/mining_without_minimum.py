"""The minimum of negatives is accepted and not used: a picture without positives has no loss."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "no negatives without positives"
REQUIREMENT = "FL-MIN-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Keep at least min_negatives."
PROPERTY_ONLY = True


def hard_negative_mining(losses: Array, state: Array, min_negatives: int = 0, **options: Any) -> Any:
    return detection.hard_negative_mining(losses, state, **options)
