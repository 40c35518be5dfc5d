"""The result of a shape lies in a buffer that the next call of that shape overwrites."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a result that the next call overwrites"
REQUIREMENT = "FL-DET-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Return memory of its own for every call."
PROPERTY_ONLY = True

BUFFERS: dict[tuple[int, ...], Array] = {}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    buffer = BUFFERS.setdefault(value.shape, np.empty_like(value))
    if buffer.dtype != value.dtype:
        return value, gradient
    buffer[...] = value
    return buffer, gradient
