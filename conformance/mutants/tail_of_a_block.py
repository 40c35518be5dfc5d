"""A loop over blocks of four computes the rest, up to three elements, without the modulating factor."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the last elements of a block get no factor"
REQUIREMENT = "FL-DET-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Compute the tail by the same code."
PROPERTY_ONLY = True
BLOCK = 4
TRIED = {"BLOCK": (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 65536)}


def loss(logits: Array, targets: Array, *, gamma: Any = 2.0, **options: Any) -> Pair:
    value, gradient = (np.array(part) for part in right.loss(logits, targets, gamma=gamma, **options))
    plain = right.loss(logits, targets, gamma=0.0, **options)
    whole = logits.size - logits.size % BLOCK
    value.reshape(-1)[whole:] = plain[0].reshape(-1)[whole:]
    gradient.reshape(-1)[whole:] = plain[1].reshape(-1)[whole:]
    return value, gradient
