"""The grid of blocks ends at 2^20 elements, and what lies beyond is read from the first ones again."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "blocks beyond the first million repeat"
REQUIREMENT = "FL-RED-009"
SEEN = ("nobody has reported it yet",)
ADVICE = "Loop over the rest of the grid."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    flat = np.arange(logits.size) % (1 << 20)
    x, t = logits.reshape(-1)[flat].reshape(logits.shape), targets.reshape(-1)[flat].reshape(targets.shape)
    return right.loss(x, t, **options)
