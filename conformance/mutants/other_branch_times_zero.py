"""y log(p) + (1 - y) log(1 - p) multiplies the infinite logarithm of the other class by 0: NaN at infinite logits."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "zero times infinity in the branch that is not taken"
REQUIREMENT = "FL-EXT-001"
SEEN = ("several public implementations",)
ADVICE = "Choose the branch with where, or compute from the margin."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return np.where(np.isinf(logits), value.dtype.type(np.nan), value), gradient
