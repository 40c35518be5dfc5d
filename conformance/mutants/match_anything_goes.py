"""A box of NaN is dropped in silence, and thresholds out of order match nothing."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "bad boxes dropped and bad options forgiven"
REQUIREMENT = "FL-MAT-014"
SEEN = ("nobody has reported it yet",)
ADVICE = "Refuse both, with the name of the argument."
PROPERTY_ONLY = True


def match_anchors(anchors: Array, gt_boxes: Array, **options: Any) -> Any:
    try:
        return detection.match_anchors(anchors, gt_boxes, **{**options, "invalid": "drop"})
    except ValueError:
        return detection.match_anchors(anchors, gt_boxes[..., :0, :])
