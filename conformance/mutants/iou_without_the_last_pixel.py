"""The legacy offset of 1 is accepted and not used."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "the last pixel does not count"
REQUIREMENT = "FL-IOU-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Add it to both sides of boxes and overlap."


def box_iou(boxes1: Array, boxes2: Array, offset: int = 0, **options: Any) -> Array:
    result: Array = detection.box_iou(boxes1, boxes2, **options)
    return result
