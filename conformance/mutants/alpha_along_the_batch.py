"""One alpha a class is broadcast along the batch."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "an array of alphas along the wrong axis"
REQUIREMENT = "FL-VAL-011"
SEEN = ("nobody has reported it yet",)
ADVICE = "Broadcast alpha to the logits by the rules of the library; classes are the last axis."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    if np.ndim(alpha) == 1 and logits.ndim == 2:
        alpha = np.resize(alpha, (logits.shape[0], 1))
    return right.loss(logits, targets, alpha=alpha, **options)
