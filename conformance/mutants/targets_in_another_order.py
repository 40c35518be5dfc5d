"""Logits are transposed before both are flattened, the targets are not: elements meet the targets of others."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "targets flattened in another order"
REQUIREMENT = "FL-SHP-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Transpose both, or neither."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if targets.ndim < 2 or logits.shape != targets.shape:
        return right.loss(logits, targets, **options)
    return right.loss(logits, np.ascontiguousarray(targets).T.reshape(targets.shape), **options)
