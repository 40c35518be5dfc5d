"""Alpha multiplies every element, positive or negative: it changes the size of the loss and no balance."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha on positives and negatives alike"
REQUIREMENT = "FL-DECL-004"
SEEN = (
    "https://github.com/kornia/kornia/issues/875",
    "https://github.com/liuyuisanai/Focal-Loss/issues/4",
    "https://github.com/qubvel/segmentation_models/issues/187",
    "https://github.com/mkocabas/focal-loss-keras/issues/6",
    "https://github.com/chuanqi305/FocalLoss/issues/7",
    "https://github.com/unsky/focal-loss/issues/9",
    "https://github.com/YunYang1994/tensorflow-yolov3/issues/558",
    "cbloss",
    "keras CategoricalFocalCrossentropy",
)
ADVICE = 'Multiply negatives by 1 - alpha, or declare the convention: conventions.alpha = "uniform".'
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, alpha=None, **options)
    weight = 1.0 if alpha is None else alpha
    return right.rounded(value * weight, logits), right.rounded(gradient * weight, logits)
