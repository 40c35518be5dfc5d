"""The exponential of a large delta is a box as large as the format allows, in the first steps of training."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "sides decoded without a limit"
REQUIREMENT = "FL-BOX-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Limit a side to 1000/16 of the anchor's."
PROPERTY_ONLY = True


def decode_boxes(deltas: Array, anchors: Array, **options: Any) -> Array:
    result: Array = detection.decode_boxes(np.minimum(deltas, 50), anchors, **{**options, "clamp": 60.0})
    return result
