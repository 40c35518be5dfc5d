"""Computed in float64 and rounded once, from probabilities that are each computed on their own side."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, of_targets, weighted

PROFILE: dict[str, Any] = {"claims": {"dtypes": {"float32": "exact", "float16": "exact", "bfloat16": "exact"}}}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    weight = 1.0 if alpha is None else np.where(targets == 1, alpha, 1.0 - alpha)
    return weighted(weight, of_targets(logits, targets, gamma), logits)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
