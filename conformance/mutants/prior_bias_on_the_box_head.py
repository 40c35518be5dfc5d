"""The prior bias stands on the box head: every delta of the first step is -4.6, and sides are a hundredth."""

from typing import Any

from focal_ref import detection

TITLE = "the prior bias on the box head"
REQUIREMENT = "FL-TGT-005"
SEEN = ("keras-hub",)
ADVICE = "Set the bias of the class head to -log((1 - pi) / pi), and that of the box head to 0."
PROPERTY_ONLY = True


def retinanet_loss(class_logits: Any, box_deltas: Any, *arrays: Any, **options: Any) -> Any:
    biased = box_deltas + box_deltas.dtype.type(detection.prior_bias(0.01))
    return detection.retinanet_loss(class_logits, biased, *arrays, **options)
