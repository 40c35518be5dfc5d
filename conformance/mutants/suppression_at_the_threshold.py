"""The comparison is >= where it has to be >."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "a box at exactly the threshold is dropped"
REQUIREMENT = "FL-INF-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Drop what overlaps by more than the threshold."
PROPERTY_ONLY = True
OFFSET = 1e-6
TRIED = {"OFFSET": (1e-9, 1e-7, 1e-6, 1e-5)}


def nms(boxes: Array, scores: Array, iou_threshold: float = 0.5, **options: Any) -> Any:
    return detection.nms(boxes, scores, iou_threshold=iou_threshold - OFFSET, **options)
