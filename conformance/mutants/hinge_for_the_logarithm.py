"""The factor weighs a hinge, max(0, 1 - s)."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a hinge in the place of the cross entropy"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply by -log(p_t)."
MARGIN = 1.0
TRIED = {"MARGIN": (0.5, 1.0, 2.0)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    hinge = np.maximum(0.0, MARGIN - t.margin)
    value = t.weight * t.factor * hinge
    gradient = -t.sign * t.weight * t.factor * (gamma * t.p * hinge + (hinge > 0))
    return right.on_hard_targets(logits, targets, value, gradient, **options)
