"""The comparison is > where it has to be >=, or an epsilon has made the IoU smaller."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "an IoU of exactly 1/2 is not positive"
REQUIREMENT = "FL-MAT-002"
SEEN = ("several public implementations",)
ADVICE = "Compare with >=, or multiply out: 2 i >= u."
PROPERTY_ONLY = True
POSITIVE = 0.5000001
TRIED = {"POSITIVE": (0.5000001, 0.500001, 0.50001, 0.55, 0.6, 0.7)}


def match_anchors(anchors: Array, gt_boxes: Array, **options: Any) -> Any:
    return detection.match_anchors(anchors, gt_boxes, **{"positive": POSITIVE, **options})
