"""Decoded boxes are one pixel too large where the last pixel counts."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "the legacy offset not taken off again"
REQUIREMENT = "FL-BOX-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Subtract the offset from the far corner."


def decode_boxes(deltas: Array, anchors: Array, offset: int = 0, **options: Any) -> Array:
    boxes: Array = detection.decode_boxes(deltas, anchors, offset=offset, **options)
    return np.asarray(boxes + np.array([0, 0, offset, offset], boxes.dtype))
