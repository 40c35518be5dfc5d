"""The function says logits and computes as if it got probabilities, clipped into [0, 1]."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the argument of logits is read as probabilities"
REQUIREMENT = "FL-DECL-002"
SEEN = ("several public implementations",)
ADVICE = "Apply the sigmoid, or declare that probabilities are expected."
PROPERTY_ONLY = True
EPSILON = 1e-7
TRIED = {"EPSILON": (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if right.is_signed(options):
        return right.loss(logits, targets, **options)
    inside = right.rounded(np.clip(logits.astype(np.float64), EPSILON, 1 - EPSILON), logits)
    kept = {name: options[name] for name in ("alpha", "gamma") if name in options}
    return right.loss_from_probabilities(inside, targets, **kept)
