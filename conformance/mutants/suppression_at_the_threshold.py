"""The comparison is >= where it has to be >."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "a box at exactly the threshold is dropped"
REQUIREMENT = "FL-INF-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Drop what overlaps by more than the threshold."
PROPERTY_ONLY = True


def nms(boxes: Array, scores: Array, iou_threshold: float = 0.5, **options: Any) -> Any:
    return detection.nms(boxes, scores, iou_threshold=iou_threshold - 1e-6, **options)
