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
GRID = 1048576
TRIED = {"GRID": (256, 1024, 4096, 16384, 65536, 1048576, 4194304, 16777216)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    flat = np.arange(logits.size) % GRID
    x, t = logits.reshape(-1)[flat].reshape(logits.shape), targets.reshape(-1)[flat].reshape(targets.shape)
    return right.loss(x, t, **options)
