"""softplus(x) is replaced by x above a threshold, as a library does for speed, but by a threshold that is too small."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "softplus is the identity above a threshold"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("torch.nn.functional.softplus with its threshold",)
ADVICE = "Use log1p(exp(-|x|)) + max(x, 0), which needs no threshold."
THRESHOLD = 8.0
TRIED = {"THRESHOLD": (4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 15.0, 20.0)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0), dtype=np.float64)
    t = right.terms(logits, targets, alpha, gamma)
    above = -t.margin > THRESHOLD
    entropy = np.where(above, -t.margin, t.entropy)
    slope = np.where(above, 1.0, t.q)
    gradient = -t.sign * t.weight * t.factor * (slope + gamma * t.p * entropy)
    return right.on_hard_targets(logits, targets, t.weight * t.factor * entropy, gradient, **options)
