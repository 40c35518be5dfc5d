"""pycocotools' overlap of boxes, which takes corner and size instead of two corners, and a flag for each crowd."""

from typing import Any

import numpy as np
from pycocotools import mask


def iou(boxes1: Any, boxes2: Any, crowd: Any = None) -> Any:
    """The IoU of each pair; for a crowd the overlap over the area of the first box."""
    flags = np.zeros(len(boxes2), np.uint8) if crowd is None else np.asarray(crowd, np.uint8)
    return mask.iou(_with_sizes(boxes1), _with_sizes(boxes2), flags)


def _with_sizes(boxes: Any) -> Any:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
