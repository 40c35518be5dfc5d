"""Places are encoded from the upper left corners, not from the centres."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "the offset from corner to corner"
REQUIREMENT = "FL-BOX-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Subtract the centres."


def encode_boxes(gt_boxes: Array, anchors: Array, **options: Any) -> Array:
    result = np.array(detection.encode_boxes(gt_boxes, anchors, **options))
    sides = anchors[..., 2:] - anchors[..., :2] + gt_boxes.dtype.type(options.get("offset", 0))
    weights = np.asarray(options.get("weights", (1, 1, 1, 1)), gt_boxes.dtype)
    result[..., :2] = (gt_boxes[..., :2] - anchors[..., :2]) / sides * weights[:2]
    return result
