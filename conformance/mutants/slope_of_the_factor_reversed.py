"""The term of the factor's slope has the wrong sign in the gradient: the two terms are subtracted."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "one of the gradient's terms has the wrong sign"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("https://github.com/zimenglan-sysu-512/Focal-Loss/issues/2",)
ADVICE = "Both terms point towards the target."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    value = right.loss(logits, targets, **options)[0]
    gradient = -t.sign * t.weight * t.factor * (t.q - gamma * t.p * t.entropy)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
