"""A loop over blocks of four leaves out the rest, up to three elements: they are zero."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the last elements of a block are missing"
REQUIREMENT = "FL-DET-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Compute the tail by the same code."
PROPERTY_ONLY = True
BLOCK = 4
TRIED = {"BLOCK": (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 65536)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = (np.array(part) for part in right.loss(logits, targets, **options))
    whole = logits.size - logits.size % BLOCK if logits.size > BLOCK else logits.size
    value.reshape(-1)[whole:] = 0
    gradient.reshape(-1)[whole:] = 0
    return value, gradient
