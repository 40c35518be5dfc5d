"""The cross entropy is computed with the base-10 logarithm, as write-up S2 prints its numbers."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "base-10 logarithm"
REQUIREMENT = "FL-VAL-007"
SEEN = ("write-up S2 of the sources, which prints base-10 digits without saying so",)
ADVICE = "Use the natural logarithm."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return right.rounded(value / np.log(10.0), logits), right.rounded(gradient / np.log(10.0), logits)
