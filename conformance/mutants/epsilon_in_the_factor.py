"""An epsilon is added to 1 - p_t before the power: easy elements keep a factor of epsilon^gamma."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "an epsilon added to 1 - p_t"
REQUIREMENT = "FL-VAL-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Compute 1 - p_t as sigmoid(-s), which is never 0 where it matters."
EPSILON = 1e-6
TRIED = {"EPSILON": (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0), dtype=np.float64)
    t = right.terms(logits, targets, alpha, gamma)
    rest = t.q + EPSILON
    factor = np.where(gamma == 0, 1.0, rest**gamma)
    slope = np.where(gamma == 0, 0.0, gamma * rest ** (gamma - 1.0))
    gradient = -t.sign * t.weight * (factor * t.q + slope * t.p_entropy * t.q)
    return right.on_hard_targets(logits, targets, t.weight * factor * t.entropy, gradient, **options)
