"""The option of who owns an anchor that is promoted is accepted and not used."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "the owner of a forced anchor is always its best"
REQUIREMENT = "FL-MAT-008"
SEEN = ("nobody has reported it yet",)
ADVICE = "Give it to the ground truth that forces it, where that is asked for."
PROPERTY_ONLY = True


def match_anchors(anchors: Array, gt_boxes: Array, **options: Any) -> Any:
    kept = {name: value for name, value in options.items() if name != "low_quality_owner"}
    return detection.match_anchors(anchors, gt_boxes, **kept)
