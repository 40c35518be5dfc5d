"""Gamma stands at 2 and is no argument; nor is alpha, at 1/4."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, of_targets, weighted

PROFILE: dict[str, Any] = {
    "signature": {"alpha": None, "gamma": None, "fixed": {"alpha": 0.25, "gamma": 2.0}},
    "conventions": {"alpha_off": "unsupported"},
}


def both(logits: Array, targets: Array) -> Pair:
    return weighted(np.where(targets == 1, 0.25, 0.75), of_targets(logits, targets, 2.0), logits)


def loss(logits: Array, targets: Array) -> Array:
    return both(logits, targets)[0]


def gradient(logits: Array, targets: Array) -> Array:
    return both(logits, targets)[1]
