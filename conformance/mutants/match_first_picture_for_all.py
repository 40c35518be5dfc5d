"""The batch axis of the ground truths is broadcast from the first picture."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "every picture gets the first one's ground truths"
REQUIREMENT = "FL-MAT-012"
SEEN = ("nobody has reported it yet",)
ADVICE = "Match each picture with its own boxes."
PROPERTY_ONLY = True


def match_anchors(anchors: Array, gt_boxes: Array, **options: Any) -> Any:
    if gt_boxes.ndim == 3:
        gt_boxes = np.broadcast_to(gt_boxes[:1], gt_boxes.shape)
    return detection.match_anchors(anchors, gt_boxes, **options)
