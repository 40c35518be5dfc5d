"""Coordinates are rounded to float16, in which 2049 does not exist."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "the IoU computed in float16"
REQUIREMENT = "FL-IOU-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Compute overlaps in float32."
PROPERTY_ONLY = True


def box_iou(boxes1: Array, boxes2: Array, **options: Any) -> Array:
    first, second = (boxes.astype(np.float16).astype(boxes.dtype) for boxes in (boxes1, boxes2))
    result: Array = detection.box_iou(first, second, **options)
    return result
