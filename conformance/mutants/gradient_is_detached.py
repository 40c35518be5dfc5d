"""The result was detached on the way: the gradient is zero everywhere."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "no gradient reaches the logits"
REQUIREMENT = "FL-DECL-012"
SEEN = ("nobody has reported it yet",)
ADVICE = "Stay in the library's arrays."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return value, np.zeros_like(gradient)
