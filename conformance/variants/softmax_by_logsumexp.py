"""A softmax over the last axis by its logarithm of a sum of exponentials, in float64; one weight a class."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, reduced, rounded, rows_of

PROFILE: dict[str, Any] = {
    "signature": {"reduction": "reduction", "targets": "labels"},
    "conventions": {
        "multi_class": "softmax",
        "alpha": "class-vector",
        "ignore": -100,
        "sum": "elements",
        "mean": "valid",
    },
    "claims": {"capabilities": ["array_parameters"]},
}


def both(logits: Array, labels: Array, alpha: Array | None, gamma: float) -> Pair:
    value, slope = rows_of(logits, np.where(labels == -100, 0, labels), gamma)
    weight = np.ones(logits.shape[-1]) if alpha is None else np.asarray(alpha)
    weight = np.where(labels == -100, 0.0, weight[np.where(labels == -100, 0, labels)])
    value, slope = (
        np.where(weight == 0, 0.0, weight * value),
        np.where(weight[..., None] == 0, 0.0, weight[..., None] * slope),
    )
    return rounded(value, logits), rounded(slope, logits)


def loss(logits: Array, labels: Array, *, alpha: Array | None, gamma: float, reduction: str = "none") -> Array:
    return reduced(both(logits, labels, alpha, gamma)[0], reduction, float(np.sum(labels != -100)))


def gradient(logits: Array, labels: Array, *, alpha: Array | None, gamma: float) -> Array:
    return both(logits, labels, alpha, gamma)[1]
