"""The last location of the coarsest level is missing, as where 800 / 128 is rounded down."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "grids rounded down"
REQUIREMENT = "FL-ANC-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Round the number of cells up."
PROPERTY_ONLY = True


def anchor_boxes(image_size: Any, **options: Any) -> Array:
    result: Array = detection.anchor_boxes(image_size, **options)
    return result[:-9]
