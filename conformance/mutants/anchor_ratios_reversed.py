"""The ratios 1:2, 1:1 and 2:1 are those of width to height, so that the first and the last change places."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "ratios of width to height"
REQUIREMENT = "FL-ANC-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Ratios are height to width, or change their order."
PROPERTY_ONLY = True


def anchor_boxes(image_size: Any, **options: Any) -> Array:
    result: Array = detection.anchor_boxes(image_size, **{**options, "ratios": (2.0, 1.0, 0.5)})
    return result
