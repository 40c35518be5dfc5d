"""Gamma is cast to the logits' dtype, where a huge one is infinite, and infinity times zero is NaN."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "gamma in the logits' format"
REQUIREMENT = "FL-EXT-007"
SEEN = ("nobody has reported it yet",)
ADVICE = "Keep gamma in float64."


def loss(logits: Array, targets: Array, *, gamma: Any = 2.0, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, gamma=gamma, **options)
    cast = right.rounded(gamma, logits)
    t = right.terms(logits, targets, None, 1.0)
    against = np.asarray(np.logaddexp(0.0, t.margin))
    return np.where(np.isinf(cast), 0 * np.exp(-cast * against) * cast, value).astype(value.dtype), gradient
