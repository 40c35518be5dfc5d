"""A logit of minus infinity masks its class, and p log(p) of it is 0 times infinity."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "one masked class makes the row NaN"
REQUIREMENT = "FL-SMX-013"
SEEN = ("nobody has reported it yet",)
ADVICE = "Leave classes of probability 0 out with where."


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    value, gradient = right.softmax_loss(logits, labels, **options)
    poison = np.isinf(logits).any(axis=options.get("axis", -1))
    return np.where(poison, value.dtype.type(np.nan), value), gradient
