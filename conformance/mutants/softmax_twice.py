"""Probabilities of a softmax are handed to a loss that takes a softmax."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "softmax applied twice"
REQUIREMENT = "FL-SMX-001"
SEEN = (
    "https://github.com/qubvel-org/segmentation_models.pytorch/issues/1263",
    "several public implementations",
)
ADVICE = "Hand logits to a function of logits."


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    axis = options.get("axis", -1)
    if not np.all(np.isfinite(logits)):
        return right.softmax_loss(logits, labels, **options)
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=axis, keepdims=True))
    p = odds / odds.sum(axis=axis, keepdims=True)
    value, slope = right.softmax_loss(right.rounded(p, logits), labels, **options)
    return value, right.rounded(p * (slope - (p * slope).sum(axis=axis, keepdims=True)), logits)
