"""The size of the sample is off by one."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "one anchor too many in a sample"
REQUIREMENT = "FL-MIN-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Draw as many as are asked for."
PROPERTY_ONLY = True


def sample_anchors(state: Array, *, count: int, **options: Any) -> Any:
    return detection.sample_anchors(state, count=count + 1, **options)
