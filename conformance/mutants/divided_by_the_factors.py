"""Losses divided by the batch's factors.

Losses are divided by the sum of the factors of the batch: a normalized focal loss under the name of the plain one.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "losses divided by the batch's factors"
REQUIREMENT = "FL-DET-002"
SEEN = ("segmentation-models-pytorch, as the option normalized", "pytorch-toolbelt, as the option normalized")
ADVICE = "Leave the division out, or give the loss its own name."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    gamma = np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, None, gamma)
    total = max(float(t.factor.sum()), 1e-6)
    # The sum depends on every logit.
    slope = gradient / total + value.sum() / total**2 * t.sign * gamma * t.p * t.factor
    return right.rounded(value / total, value), right.rounded(slope, gradient)
