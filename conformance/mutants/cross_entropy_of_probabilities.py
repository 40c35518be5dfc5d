"""The cross entropy with logits is given probabilities: its sigmoid is the second one, the factor's the first."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the cross entropy with logits of probabilities"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Give the cross entropy the logits, or take the one of probabilities."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0), dtype=np.float64)
    t = right.terms(logits, targets, alpha, gamma)
    p, complement = right.sigmoid(logits)
    # p is the logit of the cross entropy, and the derivative goes through both sigmoids.
    entropy = np.logaddexp(0.0, -t.sign * p)
    slope = -t.sign * right.sigmoid(-t.sign * p)[0] * p * complement
    factor_slope = -t.sign * gamma * t.factor * t.p
    gradient = t.weight * (t.factor * slope + factor_slope * entropy)
    return right.on_hard_targets(logits, targets, t.weight * t.factor * entropy, gradient, **options)
