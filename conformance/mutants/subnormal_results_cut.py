"""A floor of the smallest normal number stands under every loss: what should be subnormal or zero is 1.2e-38."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "results below 1e-38 are wrong"
REQUIREMENT = "FL-EXT-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Have no floor."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    floor = np.finfo(logits.dtype).smallest_normal if logits.dtype.kind == "f" else 2.0**-126
    return np.maximum(value, value.dtype.type(floor)), gradient
