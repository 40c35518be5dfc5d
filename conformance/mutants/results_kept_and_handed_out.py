"""Results are kept by the bytes of the arguments, and the kept array itself is returned: writing to it spoils it."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a kept result that callers can write to"
REQUIREMENT = "FL-DET-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Return a copy of what is kept."
PROPERTY_ONLY = True

KEPT: dict[tuple[Any, ...], Pair] = {}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    key = (logits.tobytes(), logits.shape, targets.tobytes(), str(targets.dtype), str(options))
    if key not in KEPT:
        value, gradient = right.loss(logits, targets, **options)
        KEPT[key] = np.array(value), np.array(gradient)
    return KEPT[key]
