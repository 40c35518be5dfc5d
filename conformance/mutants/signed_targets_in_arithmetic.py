"""Targets -1 and +1 are used as numbers: p_t = p t + (1 - p)(1 - t) with t = -1."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a target of -1 reaches the arithmetic"
REQUIREMENT = "FL-VAL-010"
SEEN = ("nobody has reported it yet",)
ADVICE = "Convert to 0 and 1 first."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if options.get("encoding", "binary") == "binary":
        return right.loss(logits, targets, **options)
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    x, t = logits.astype(np.float64), np.asarray(targets).astype(np.float64)
    p, q = right.sigmoid(x)
    entropy = t * np.logaddexp(0.0, -x) + (1.0 - t) * np.logaddexp(0.0, x)
    rest = 1.0 - (p * t + q * (1.0 - t))
    gradient = right.loss(logits, targets, **options)[1]
    return right.rounded(right.weight(t, alpha) * np.abs(rest) ** gamma * entropy, logits), gradient
