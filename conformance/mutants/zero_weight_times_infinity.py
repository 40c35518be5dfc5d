"""The weight is multiplied at the end: 0 times infinity is NaN, exactly where the model is most wrong."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a weight of zero times an infinite loss"
REQUIREMENT = "FL-EXT-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Choose zero with where."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    unweighted = right.loss(logits, targets, **{**options, "alpha": None, "weights": None})
    zero = right.weight(targets, options.get("alpha", 0.25)) == 0
    if options.get("weights") is not None:
        zero = zero | (np.broadcast_to(options["weights"], logits.shape) == 0)
    return np.where(zero, 0 * unweighted[0], value), gradient
