"""Anchors and ground truths are clipped at 0 first: a picture that is moved matches otherwise."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "boxes clipped before they are compared"
REQUIREMENT = "FL-MAT-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "Compare boxes as they are."
PROPERTY_ONLY = True


def match_anchors(anchors: Array, gt_boxes: Array, **options: Any) -> Any:
    if gt_boxes.ndim != 2 or anchors.ndim != 2:
        return detection.match_anchors(anchors, gt_boxes, **options)
    corner = np.maximum(anchors[:, :2], 0)
    clipped = np.concatenate([corner, np.maximum(anchors[:, 2:], corner + 1)], axis=1)
    boxes = np.concatenate([np.maximum(gt_boxes[:, :2], -5), np.maximum(gt_boxes[:, 2:], 1)], axis=1)
    return detection.match_anchors(clipped, boxes, **options)
