"""Where iou == iou.max() meets a maximum of 0, every anchor is a positive of that box."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "ground truths without overlap make anchors positive"
REQUIREMENT = "FL-MAT-003"
SEEN = (
    "torchvision 0.28 Matcher",
    "detectron2 Matcher",
)
ADVICE = "Ask for an overlap above 0."
PROPERTY_ONLY = True


def match_anchors(anchors: Array, gt_boxes: Array, **options: Any) -> Any:
    return detection.match_anchors(anchors, gt_boxes, **{"preset": "torchvision", **options})
