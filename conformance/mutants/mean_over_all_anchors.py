"""The loss of a detector is divided by the number of all anchors, where it has to be divided by that of positives."""

from typing import Any

from focal_ref import detection

TITLE = "the mean over all anchors"
REQUIREMENT = "FL-TGT-005"
SEEN = (
    "https://github.com/liuyuisanai/Focal-Loss/issues/12",
    "several public implementations",
)
ADVICE = "Divide the sum by the number of anchors that are assigned to a box, at least 1."
PROPERTY_ONLY = True


def retinanet_loss(class_logits: Any, *arrays: Any, **options: Any) -> Any:
    found = detection.retinanet_loss(class_logits, *arrays, **options)
    # It comes divided by the positives, which are far fewer.
    share = max(1, int(found.num_positive.sum())) / class_logits.shape[-2]
    classification = found.classification * found.classification.dtype.type(share)
    return found._replace(classification=classification, total=classification + found.boxes)
