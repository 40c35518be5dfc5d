"""A penalty of 1 - p_t is added to the loss (the Poly-1 focal loss) under the name of the focal loss."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a constant is added"
REQUIREMENT = "FL-DECL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Leave the penalty out, or give the loss its own name."
PROPERTY_ONLY = True
EPSILON = 1.0
WEIGHTED = False
TRIED = {"WEIGHTED": (False, True), "EPSILON": (-1.0, -0.5, 0.1, 0.5, 1.0, 2.0, 4.0)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    t = right.terms(logits, targets, None, options.get("gamma", 2.0))
    weight = right.weight(targets, options.get("alpha", 0.25)) if WEIGHTED else 1.0
    extra = weight * EPSILON * t.factor * t.q
    slope = -weight * EPSILON * t.sign * (np.asarray(options.get("gamma", 2.0)) + 1.0) * t.factor * t.q * t.p
    return right.rounded(value + extra, value), right.rounded(gradient + slope, gradient)
