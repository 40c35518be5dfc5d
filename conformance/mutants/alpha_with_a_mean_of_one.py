"""The weights are divided by their mean over the batch: an element's loss depends on the others."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "weights scaled to a mean of one"
REQUIREMENT = "FL-DET-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply by alpha_t itself."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    weight = right.terms(logits, targets, alpha, 0.0).weight
    weight = weight / (weight.mean() if np.any(weight) else 1.0)
    return right.weighed(logits, targets, weight, alpha=alpha, **options)
