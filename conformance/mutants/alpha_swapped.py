"""Alpha weighs negatives and 1 - alpha positives."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha on negatives"
REQUIREMENT = "FL-VAL-009"
SEEN = (
    "https://github.com/clcarwin/focal_loss_pytorch/issues/10",
    "https://github.com/fudannlp16/focal-loss/issues/6",
    "https://github.com/yatengLG/Focal-Loss-Pytorch/issues/4",
)
ADVICE = "Multiply positives by alpha and negatives by 1 - alpha."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    return right.loss(logits, targets, alpha=None if alpha is None else 1.0 - alpha, **options)
