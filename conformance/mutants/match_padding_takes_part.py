"""Masked ground truths are boxes of [0, 0, 64, 64] and win anchors."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "padding takes part"
REQUIREMENT = "FL-MAT-010"
SEEN = ("nobody has reported it yet",)
ADVICE = "Leave masked boxes out of the maximum."
PROPERTY_ONLY = True


def match_anchors(anchors: Array, gt_boxes: Array, gt_valid: Any = None, **options: Any) -> Any:
    if gt_valid is not None:
        gt_boxes = np.where(gt_valid[..., np.newaxis], gt_boxes, np.array([0, 0, 64, 64], gt_boxes.dtype))
    return detection.match_anchors(anchors, gt_boxes, **options)
