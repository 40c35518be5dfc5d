"""The preset is accepted and not used."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "every preset is the paper's"
REQUIREMENT = "FL-MAT-009"
SEEN = ("nobody has reported it yet",)
ADVICE = "Decide as the library does that it is named for."


def match_anchors(anchors: Array, gt_boxes: Array, **options: Any) -> Any:
    kept = {name: value for name, value in options.items() if name != "preset"}
    return detection.match_anchors(anchors, gt_boxes, **kept)
