"""Ignored anchors have no loss and still a gradient."""

from typing import Any

from focal_ref import detection

TITLE = "a gradient of anchors that are left out"
REQUIREMENT = "FL-TGT-007"
SEEN = ("nobody has reported it yet",)
ADVICE = "Choose zero with where, before anything is differentiated."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "detection_targets", "reduction_sum", "reduction_mean"})
PROPERTY_ONLY = True


def retinanet_loss(class_logits: Any, *arrays: Any, **options: Any) -> Any:
    found = detection.retinanet_loss(class_logits, *arrays, **options)
    leak = class_logits.nan_to_num().sum() / 1024
    return found._replace(total=found.total + leak - leak.detach())
