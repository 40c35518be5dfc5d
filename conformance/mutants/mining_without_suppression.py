"""One object fills the batch with boxes that overlap each other."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "hard examples without suppression"
REQUIREMENT = "FL-MIN-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Suppress before the cut."
PROPERTY_ONLY = True


def ohem(losses: Array, boxes: Array, **options: Any) -> Any:
    return detection.ohem(losses, boxes, **{**options, "iou_threshold": 1.0})
