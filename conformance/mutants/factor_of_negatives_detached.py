"""The factor of negatives is computed without gradient, that of positives with it."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the negatives' factor detached"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Differentiate both."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), options.get("gamma", 2.0)
    t = right.terms(logits, targets, alpha, gamma)
    value, gradient = right.loss(logits, targets, **options)
    gradient = np.where(t.sign > 0, gradient, t.weight * t.factor * t.q)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
