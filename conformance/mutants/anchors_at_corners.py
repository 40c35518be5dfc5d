"""Anchors are half a stride too far to the upper left."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "locations at the corners of cells"
REQUIREMENT = "FL-ANC-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Add half a stride."
PROPERTY_ONLY = True


def anchor_boxes(image_size: Any, **options: Any) -> Array:
    result: Array = detection.anchor_boxes(image_size, **{**options, "center": 0.0})
    return result
