"""Width and height of the overlap are not limited to 0: boxes apart in both directions overlap."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "negative sides multiplied"
REQUIREMENT = "FL-IOU-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Limit each side to 0 before multiplying."
PROPERTY_ONLY = True


def box_iou(boxes1: Array, boxes2: Array, **options: Any) -> Array:
    result: Array = detection.box_iou(boxes1, boxes2, **options)
    if options:
        return result
    one, other = boxes1[..., :, np.newaxis, :], boxes2[..., np.newaxis, :, :]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    areas = [np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (one, other)]
    common = np.prod(sides, axis=-1)
    return np.where(np.all(sides < 0, axis=-1), common / (areas[0] + areas[1] - common), result).astype(result.dtype)
