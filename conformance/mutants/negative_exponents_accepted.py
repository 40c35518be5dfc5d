"""Exponents and clips of the asymmetric loss are not checked: a negative one turns the focus round."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "negative exponents accepted"
REQUIREMENT = "FL-SHP-009"
SEEN = ("nobody has reported it yet",)
ADVICE = "Refuse exponents below 0, and a clip outside of [0, 1)."
PROPERTY_ONLY = True
CHECKS_ARGUMENTS = False


def asymmetric_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    numbers = {"gamma_positive": 0.0, "gamma_negative": 4.0, "clip": 0.05}
    fixed = {
        name: default
        for name, default in numbers.items()
        if name in options and not 0 <= options[name] < (1 if name == "clip" else np.inf)
    }
    if np.shape(targets) != logits.shape:
        targets = np.broadcast_to(targets, logits.shape)
    return right.asymmetric_loss(logits, targets, **{**options, **fixed})
