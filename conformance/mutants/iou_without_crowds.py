"""The area of a crowd region is in the denominator, so that detections inside of it overlap with nothing."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "crowds as ordinary boxes"
REQUIREMENT = "FL-IOU-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Divide by the area of the detection alone."


def box_iou(boxes1: Array, boxes2: Array, crowd: Any = None, **options: Any) -> Array:
    result: Array = detection.box_iou(boxes1, boxes2, **options)
    return result
