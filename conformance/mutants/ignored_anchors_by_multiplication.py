"""The mask is a factor, and NaN of an ignored anchor reaches the sum."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "ignored anchors multiplied by 0"
REQUIREMENT = "FL-TGT-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "Choose zero with where."
PROPERTY_ONLY = True


def retinanet_loss(class_logits: Array, *arrays: Array, **options: Any) -> Any:
    found = detection.retinanet_loss(class_logits, *arrays, **options)
    return found._replace(total=found.total + 0 * class_logits.sum())
