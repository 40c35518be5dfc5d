"""The half of the batch with the smaller losses is dropped: online hard example mining inside of the loss."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "only the largest losses count"
REQUIREMENT = "FL-DET-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Mine outside of the loss, where that is wanted."
PROPERTY_ONLY = True
SHARE = 0.5
TRIED = {"SHARE": (0.1, 0.2, 0.25, 0.3, 0.5, 0.7, 0.75, 0.9)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = (np.array(part) for part in right.loss(logits, targets, **options))
    dropped = np.argsort(value.reshape(-1), kind="stable")[: int(value.size * (1.0 - SHARE))]
    value.reshape(-1)[dropped] = 0
    gradient.reshape(-1)[dropped] = 0
    return value, gradient
