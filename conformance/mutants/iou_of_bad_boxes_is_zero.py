"""A box that is none has an IoU of 0, as any box that is somewhere else."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "boxes of NaN overlap with nothing"
REQUIREMENT = "FL-IOU-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "Refuse it, or give NaN."
PROPERTY_ONLY = True


def box_iou(boxes1: Array, boxes2: Array, **options: Any) -> Array:
    good = np.all(np.isfinite(boxes2), axis=-1) & (boxes2[..., 2] > boxes2[..., 0]) & (boxes2[..., 3] > boxes2[..., 1])
    unit = np.array([0, 0, 1, 1], boxes2.dtype)
    result: Array = detection.box_iou(boxes1, np.where(good[..., np.newaxis], boxes2, unit), **options)
    return np.where(good[..., np.newaxis, :], result, 0).astype(result.dtype)
