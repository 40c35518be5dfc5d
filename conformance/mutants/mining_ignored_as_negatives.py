"""Anchors that are neither positive nor background are among the hardest negatives."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "ignored anchors mined as negatives"
REQUIREMENT = "FL-MIN-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Leave them out."


def hard_negative_mining(losses: Array, state: Array, **options: Any) -> Any:
    return detection.hard_negative_mining(losses, np.maximum(state, 0), **options)
