"""The class head starts at a bias of 0: every probability of the first step is 1/2 where it has to be 0.01."""

from typing import Any

from focal_ref import detection

TITLE = "the prior bias is missing"
REQUIREMENT = "FL-TGT-004"
SEEN = (
    "https://github.com/kuangliu/pytorch-retinanet/issues/10",
    "https://github.com/xingyizhou/CenterNet/issues/826",
    "keras-hub",
)
ADVICE = "Set the bias of the class head to -log((1 - pi) / pi), pi = 0.01."


def retinanet_loss(class_logits: Any, *arrays: Any, **options: Any) -> Any:
    return detection.retinanet_loss(class_logits - detection.prior_bias(0.01), *arrays, **options)
