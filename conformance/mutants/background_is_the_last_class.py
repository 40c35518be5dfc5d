"""An index of -1 into one-hot rows is the last class: background trains it as a positive."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "background wraps to the last class"
REQUIREMENT = "FL-LAB-002"
SEEN = ("https://github.com/open-mmlab/mmdetection/issues/1299",)
ADVICE = "Treat the background label before it is an index."
PROPERTY_ONLY = True


def loss_from_labels(logits: Array, labels: Array, **options: Any) -> Pair:
    return right.loss_from_labels(logits, np.where(labels == -1, logits.shape[-1] - 1, labels), **options)
