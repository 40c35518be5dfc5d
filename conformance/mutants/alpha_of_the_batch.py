"""Alpha is the share of negatives in the batch, whatever is given."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha from the frequencies of the batch"
REQUIREMENT = "FL-DET-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Use the alpha that is given."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    positive = right.terms(logits, targets, None, 0.0).sign > 0
    share = 1.0 - positive.mean() if positive.size else 0.5
    weight = np.where(positive, share, 1.0 - share)
    return right.weighed(logits, targets, weight, alpha=alpha, **options)
