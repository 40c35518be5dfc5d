"""Anchors inside of a crowd region train as background."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "regions to ignore are not used"
REQUIREMENT = "FL-MAT-011"
SEEN = ("nobody has reported it yet",)
ADVICE = "Ignore them where the region covers at least half of them."
PROPERTY_ONLY = True


def match_anchors(anchors: Array, gt_boxes: Array, **options: Any) -> Any:
    regions = ("ignore_boxes", "ignore_valid", "ignore_iof")
    kept = {name: value for name, value in options.items() if name not in regions}
    return detection.match_anchors(anchors, gt_boxes, **kept)
