"""The cross entropy is in bits: everything is 1.4427 times too large."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "base-2 logarithm"
REQUIREMENT = "FL-VAL-007"
SEEN = ("nobody has reported it yet",)
ADVICE = "Use the natural logarithm."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return right.rounded(value / np.log(2.0), logits), right.rounded(gradient / np.log(2.0), logits)
