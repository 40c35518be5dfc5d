"""Weights trained with torchvision's anchors meet others."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "torchvision's preset gives the paper's anchors"
REQUIREMENT = "FL-ANC-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Keep its whole sizes, corners and strides."
PROPERTY_ONLY = True


def anchor_boxes(image_size: Any, **options: Any) -> Array:
    result: Array = detection.anchor_boxes(image_size, **{**options, "preset": "paper"})
    return result
