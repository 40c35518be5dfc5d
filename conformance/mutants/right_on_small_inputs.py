"""Elements are counted in 16 bits, so that all beyond the first 65,536 are left out: small tests pass."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "right up to 65,536 elements"
REQUIREMENT = "FL-RED-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Count in 64 bits."
PROPERTY_ONLY = True
LIMIT = 65536
TRIED = {"LIMIT": (32, 64, 100, 128, 256, 512, 1000, 1024, 4096, 10000, 16384, 32768, 65536, 100000, 1048576)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = (np.array(part) for part in right.loss(logits, targets, **options))
    for part in (value, gradient):
        part.reshape(-1)[LIMIT:] = 0
    return value, gradient
