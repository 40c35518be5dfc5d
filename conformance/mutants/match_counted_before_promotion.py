"""The number of positives, which normalizes the loss, is that before masks and low-quality matches."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "positives counted before anchors are promoted"
REQUIREMENT = "FL-MAT-013"
SEEN = ("nobody has reported it yet",)
ADVICE = "Count the final states."
PROPERTY_ONLY = True


def match_anchors(anchors: Array, gt_boxes: Array, **options: Any) -> Any:
    found = detection.match_anchors(anchors, gt_boxes, **options)
    unusual = {"gt_valid", "anchor_valid", "invalid"} & set(options)
    if unusual:
        return found
    return found._replace(num_positive=detection.match_anchors(anchors, gt_boxes).num_positive)
