"""Without ground truth every anchor is ignored."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "a picture without ground truth trains nothing"
REQUIREMENT = "FL-MAT-007"
SEEN = ("nobody has reported it yet",)
ADVICE = "Every anchor is background."
PROPERTY_ONLY = True


def match_anchors(anchors: Array, gt_boxes: Array, **options: Any) -> Any:
    found = detection.match_anchors(anchors, gt_boxes, **options)
    return found if gt_boxes.shape[-2] else found._replace(state=np.full_like(found.state, -1))
