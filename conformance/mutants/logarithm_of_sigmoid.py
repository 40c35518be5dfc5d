"""Log(sigmoid(x)).

The logarithm of a sigmoid that has underflowed is minus infinity: from x = -104 in float32, -89 where subnormals are
flushed.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "log(sigmoid(x))"
REQUIREMENT = "FL-EXT-004"
SEEN = ("https://github.com/kornia/kornia/issues/2115",)
ADVICE = "Use log_sigmoid, -softplus(-x)."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    margin = right.rounded(t.margin, logits)
    p = np.where(margin < 0, np.exp(margin) / (1 + np.exp(margin)), 1 / (1 + np.exp(-margin)))
    entropy = np.where(margin < 0, -np.log(p), t.entropy)
    gradient = right.loss(logits, targets, **options)[1]
    gradient = np.where(p == 0, np.nan, gradient)
    return right.on_hard_targets(logits, targets, t.weight * t.factor * entropy, gradient, **options)
