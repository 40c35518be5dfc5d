"""The loss is shifted by the largest loss of the batch and back, which is NaN as soon as one of them is."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "one NaN logit makes the whole batch NaN"
REQUIREMENT = "FL-EXT-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Let elements depend on themselves alone."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    poison = np.where(np.isnan(logits).any(), np.nan, 0.0)
    return right.rounded(value + poison, value), right.rounded(gradient + poison, gradient)
