"""Decoded boxes are shifted by a hundredth of the anchor's side."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "decoding by another convention than encoding"
REQUIREMENT = "FL-BOX-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Decode with the centres that are encoded."
PROPERTY_ONLY = True


def decode_boxes(deltas: Array, anchors: Array, **options: Any) -> Array:
    boxes: Array = detection.decode_boxes(deltas, anchors, **options)
    size = anchors[..., 2:] - anchors[..., :2]
    return np.asarray(boxes + np.concatenate([size, size], axis=-1) * boxes.dtype.type(0.01))
