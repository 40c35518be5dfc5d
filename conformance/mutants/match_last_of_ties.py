"""The argmax takes the last maximum, as sorting and some devices do."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "the last of equal overlaps"
REQUIREMENT = "FL-MAT-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Take the first."
PROPERTY_ONLY = True


def match_anchors(anchors: Array, gt_boxes: Array, **options: Any) -> Any:
    if gt_boxes.ndim != 2 or "gt_valid" in options or not len(gt_boxes):
        return detection.match_anchors(anchors, gt_boxes, **options)
    found = detection.match_anchors(anchors, gt_boxes[::-1], **options)
    index = np.where(found.state == 1, len(gt_boxes) - 1 - found.gt_index, -1).astype(found.gt_index.dtype)
    return found._replace(gt_index=index, unmatched=found.unmatched[::-1])
