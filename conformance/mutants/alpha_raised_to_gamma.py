"""The weight stands inside the power: (alpha_t (1 - p_t))^gamma."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha inside the power"
REQUIREMENT = "FL-VAL-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply after the power."


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    weight = right.terms(logits, targets, alpha, 0.0).weight ** np.asarray(options.get("gamma", 2.0))
    return right.weighed(logits, targets, weight, alpha=alpha, **options)
