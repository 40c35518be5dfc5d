"""The cross entropy is softplus with beta = 2: log(1 + e^(-2 s)) / 2."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "softplus with a sharpness of its own"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Use softplus with beta = 1."
BETA = 2.0
TRIED = {"BETA": (0.5, 2.0, 4.0, 5.0, 10.0)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    entropy = np.logaddexp(0.0, -BETA * t.margin) / BETA
    value = t.weight * t.factor * entropy
    gradient = -t.sign * t.weight * t.factor * (gamma * t.p * entropy + right.sigmoid(-BETA * t.margin)[0])
    return right.on_hard_targets(logits, targets, value, gradient, **options)
