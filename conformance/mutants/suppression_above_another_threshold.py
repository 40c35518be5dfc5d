"""Boxes that overlap by 0.55 stay."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "the threshold of suppression is 0.1 too high"
REQUIREMENT = "FL-INF-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Suppress above the given threshold."
OFFSET = 0.1
TRIED = {"OFFSET": (-0.2, -0.1, -0.05, 0.05, 0.1, 0.2)}


def nms(boxes: Array, scores: Array, iou_threshold: float = 0.5, **options: Any) -> Any:
    return detection.nms(boxes, scores, iou_threshold=iou_threshold + OFFSET, **options)
