"""Label c is compared with the numbers 1 to C: every class is trained on its neighbour."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "classes counted from 1"
REQUIREMENT = "FL-LAB-001"
SEEN = ("https://github.com/open-mmlab/mmdetection/issues/1299",)
ADVICE = "Count classes from 0, or convert the labels."
PROPERTY_ONLY = True


def loss_from_labels(logits: Array, labels: Array, **options: Any) -> Pair:
    return right.loss_from_labels(logits, np.where(labels > 0, labels - 1, labels), **options)
