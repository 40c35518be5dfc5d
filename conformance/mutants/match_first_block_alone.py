"""Blocks of anchors after the first one keep their initial state."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "anchors beyond the first 8192 are background"
REQUIREMENT = "FL-MAT-015"
SEEN = ("nobody has reported it yet",)
ADVICE = "Loop over all blocks."
PROPERTY_ONLY = True
BLOCK = 8192
TRIED = {"BLOCK": (256, 1024, 4096, 8192, 16384, 32768, 65536)}


def match_anchors(anchors: Array, gt_boxes: Array, **options: Any) -> Any:
    found = detection.match_anchors(anchors, gt_boxes, **options)
    if found.state.ndim != 1:
        return found
    late = np.arange(found.state.shape[0]) >= BLOCK
    state = np.where(late, 0, found.state).astype(found.state.dtype)
    return found._replace(state=state, gt_index=np.where(late, -1, found.gt_index).astype(found.gt_index.dtype))
