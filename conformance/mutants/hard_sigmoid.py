"""p is the hard sigmoid, x / 6 + 1/2 cut to [0, 1]: beyond |x| = 3 the loss is 0 or infinite."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a hard sigmoid"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "p = 1 / (1 + e^-x)."
WIDTH = 6.0
TRIED = {"WIDTH": (4.0, 5.0, 6.0)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    p = np.clip(t.margin / WIDTH + 0.5, 0.0, 1.0)
    factor = np.where(gamma == 0, 1.0, (1.0 - p) ** gamma)
    slope = np.where(gamma == 0, 0.0, gamma * (1.0 - p) ** (gamma - 1.0))
    inside = np.abs(t.margin) < WIDTH / 2.0
    value = -t.weight * factor * np.log(p)
    gradient = np.where(inside, t.sign * t.weight * (slope * np.log(p) - factor / p) / WIDTH, 0.0)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
