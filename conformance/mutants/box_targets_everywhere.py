"""Anchors that are not positive keep deltas of 1, which a loss without a mask trains."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "box targets of anchors that are not positive"
REQUIREMENT = "FL-TGT-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Give them zeros."
PROPERTY_ONLY = True


def box_targets(matches: Any, anchors: Array, gt_boxes: Array, **options: Any) -> Array:
    deltas: Array = detection.box_targets(matches, anchors, gt_boxes, **options)
    return np.asarray(deltas + (matches.state != 1)[..., np.newaxis].astype(deltas.dtype))
