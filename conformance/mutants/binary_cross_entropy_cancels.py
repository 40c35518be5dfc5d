"""Cross entropy as max(x, 0) - x y + log(1 + e^-|x|).

The usual stable cross entropy is rounded after max(x, 0) - x y + log1p(exp(-|x|)) with log in place of log1p, which
loses what is below an ulp of 1.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "cross entropy as max(x, 0) - x y + log(1 + e^-|x|)"
REQUIREMENT = "FL-VAL-002"
SEEN = ("several public implementations",)
ADVICE = "Use log1p, on the margin: softplus(-s)."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    one = logits.dtype.type(1)
    entropy = np.maximum(logits, 0) - logits * targets + np.log(one + np.exp(-np.abs(logits)))
    gradient = right.loss(logits, targets, **options)[1]
    return right.on_hard_targets(logits, targets, t.weight * t.factor * entropy, gradient, **options)
