"""The sum of the areas rounded before the overlap is taken off.

(a + b) - i rounds its first sum, which needs one bit more than the union: the left half of [0, 0, 4094, 4095] has
0.49999997 in the place of 1/2.
"""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "the sum of the areas rounded before the overlap is taken off"
REQUIREMENT = "FL-IOU-001"
SEEN = ("torchvision 0.28 box_iou in float32",)
ADVICE = "Compute a + (b - i)."


def box_iou(boxes1: Array, boxes2: Array, **options: Any) -> Array:
    result: Array = detection.box_iou(boxes1, boxes2, **options)
    if options:
        return result
    one, other = boxes1[..., :, np.newaxis, :], boxes2[..., np.newaxis, :, :]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    common = np.prod(np.maximum(sides, 0), axis=-1)
    areas = [np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (one, other)]
    return np.asarray(common / (areas[0] + areas[1] - common))
