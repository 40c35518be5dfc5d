"""Integer labels; -100 is ignored, the number of classes is background, and the mean counts what is not ignored."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, of_targets, reduced, weighted

PROFILE: dict[str, Any] = {
    "signature": {"reduction": "reduction", "targets": "labels"},
    "conventions": {"background": "classes", "ignore": -100, "sum": "elements", "mean": "valid"},
}


def both(logits: Array, labels: Array, alpha: float | None, gamma: float) -> Pair:
    classes = logits.shape[-1]
    hot = np.equal.outer(labels, np.arange(classes))
    if hot.shape != logits.shape:
        raise ValueError(f"labels: got shape {labels.shape}, logits have {logits.shape}")
    weight = np.ones(hot.shape) if alpha is None else np.where(hot, alpha, 1.0 - alpha)
    weight = np.where((labels == -100)[..., np.newaxis], 0.0, weight)
    kept = np.where((labels == -100)[..., np.newaxis], 0, logits).astype(logits.dtype)
    return weighted(weight, of_targets(kept, hot.astype(logits.dtype), gamma), logits)


def loss(logits: Array, labels: Array, *, alpha: float | None, gamma: float, reduction: str = "none") -> Array:
    counted = float(np.sum(labels != -100)) * logits.shape[-1]
    return reduced(both(logits, labels, alpha, gamma)[0], reduction, counted)


def gradient(logits: Array, labels: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(logits, labels, alpha, gamma)[1]
