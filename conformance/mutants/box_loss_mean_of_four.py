"""Smooth L1 is averaged over the four deltas."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "the box loss divided by four times as many elements"
REQUIREMENT = "FL-TGT-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Add up the four deltas."
PROPERTY_ONLY = True


def retinanet_loss(*arrays: Array, **options: Any) -> Any:
    found = detection.retinanet_loss(*arrays, **options)
    boxes = found.boxes / found.boxes.dtype.type(4)
    return found._replace(boxes=boxes, total=found.classification + boxes)
