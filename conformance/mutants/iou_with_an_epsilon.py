"""An IoU of exactly 1/2 becomes less, and the anchor is not positive any more."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "an epsilon in the denominator of the IoU"
REQUIREMENT = "FL-IOU-001"
SEEN = ("several public implementations",)
ADVICE = "Divide by the union; it is above 0 for boxes with an area."
EPSILON = 1e-7
TRIED = {"EPSILON": (1e-9, 1e-8, 1e-7, 1e-6, 1e-5)}


def box_iou(boxes1: Array, boxes2: Array, **options: Any) -> Array:
    result: Array = detection.box_iou(boxes1, boxes2, **options)
    return np.asarray(result * boxes1.dtype.type(1 - EPSILON))
