"""The gradient is clipped to [-1, 1]; that of gamma = 2 reaches 1.12."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the gradient is clipped"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Clip in the optimizer, where that is wanted."
BOUND = 1.0
TRIED = {"BOUND": (0.001, 0.01, 0.1, 0.25, 0.5, 1.0)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return value, np.clip(gradient, -BOUND, BOUND).astype(gradient.dtype)
