"""Sides are limited to 1e-6 before the logarithm: a box that is none has finite deltas."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "boxes without an area encoded"
REQUIREMENT = "FL-BOX-007"
SEEN = ("nobody has reported it yet",)
ADVICE = "Refuse it, or make its deltas NaN."
PROPERTY_ONLY = True


def encode_boxes(gt_boxes: Array, anchors: Array, **options: Any) -> Array:
    boxes, places = np.array(gt_boxes), np.array(anchors)
    for one in (boxes, places):
        one[..., 2:] = np.maximum(one[..., 2:], one[..., :2] + one.dtype.type(0.5))
    weights = options.get("weights", (1, 1, 1, 1))
    usable = len(weights) == 4 and min(weights) > 0
    result: Array = detection.encode_boxes(boxes, places, **{**options, "weights": weights if usable else (1, 1, 1, 1)})
    return result
