"""A softmax whose targets are one-hot rows, with a weight for the first class and another for the rest."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, rounded, rows_of

PROFILE: dict[str, Any] = {
    "signature": {"targets": "one-hot"},
    "conventions": {"multi_class": "softmax", "alpha": "first/rest"},
}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    if targets.shape != logits.shape:
        raise ValueError(f"targets: got shape {targets.shape}, logits have {logits.shape}")
    labels = targets.argmax(axis=-1)
    value, slope = rows_of(logits, labels, gamma)
    weight = np.ones(labels.shape) if alpha is None else np.where(labels == 0, 1.0 - alpha, alpha)
    value, slope = (
        np.where(weight == 0, 0.0, weight * value),
        np.where(weight[..., None] == 0, 0.0, weight[..., None] * slope),
    )
    return rounded(value, logits), rounded(slope, logits)


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, targets, alpha, gamma)[1]
