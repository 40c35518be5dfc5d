"""Deltas are divided by the weights where they have to be multiplied."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "weights divided in the encoder"
REQUIREMENT = "FL-BOX-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply in the encoder, divide in the decoder."


def encode_boxes(gt_boxes: Array, anchors: Array, weights: Any = (1, 1, 1, 1), **options: Any) -> Array:
    inverse = tuple(1 / weight for weight in weights)
    result: Array = detection.encode_boxes(gt_boxes, anchors, weights=inverse, **options)
    return result
