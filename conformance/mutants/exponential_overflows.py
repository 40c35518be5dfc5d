"""exp(-s) is infinite from s = -88.8 on in float32, and with it the loss; times a factor of it, NaN."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "log(1 + e^-s) without a shift"
REQUIREMENT = "FL-EXT-004"
SEEN = (
    "balanced-loss at x <= -88.8",
    "effdet's legacy focal loss",
)
ADVICE = "Use softplus, which shifts by max(-s, 0)."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    value, gradient = right.loss(logits, targets, **options)
    t = right.terms(logits, targets, alpha, gamma)
    odds = np.exp(-right.rounded(t.margin, logits))
    value = np.where(t.margin < 0, t.weight * t.factor * np.log1p(odds), value)
    gradient = np.where(np.isinf(odds), odds / odds, gradient)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
