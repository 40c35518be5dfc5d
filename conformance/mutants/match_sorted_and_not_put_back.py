"""Ground truths are sorted before matching, and the indices are those of the sorted ones."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "indices into sorted ground truths"
REQUIREMENT = "FL-MAT-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Map the indices back."
PROPERTY_ONLY = True


def match_anchors(anchors: Array, gt_boxes: Array, **options: Any) -> Any:
    if gt_boxes.ndim != 2 or "gt_valid" in options:
        return detection.match_anchors(anchors, gt_boxes, **options)
    return detection.match_anchors(anchors, gt_boxes[np.lexsort(gt_boxes.T)], **options)
