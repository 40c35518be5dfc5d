"""The stable form is built on |x|, whose derivative automatic differentiation takes as 0 at 0."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "no gradient at a logit of exactly 0"
REQUIREMENT = "FL-GRAD-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Give the derivative in closed form, or use softplus."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return value, np.where(logits == 0, gradient.dtype.type(0), gradient)
