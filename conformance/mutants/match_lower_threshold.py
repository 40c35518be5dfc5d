"""The lower threshold is 0.3: anchors between 0.3 and 0.4 are ignored and train nothing."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "background below 0.3"
REQUIREMENT = "FL-MAT-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Background is below 0.4."
PROPERTY_ONLY = True
NEGATIVE = 0.3
TRIED = {"NEGATIVE": (0.1, 0.2, 0.3, 0.35, 0.45, 0.5)}


def match_anchors(anchors: Array, gt_boxes: Array, **options: Any) -> Any:
    return detection.match_anchors(anchors, gt_boxes, **{"negative": NEGATIVE, **options})
