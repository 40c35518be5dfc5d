"""One loss in ten is dropped at random and the others are scaled up, in evaluation too."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "dropout of losses"
REQUIREMENT = "FL-DET-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Draw nothing, or from a seed that is an argument."
PROPERTY_ONLY = True
SHARE = 0.1


GENERATOR = np.random.default_rng(20170807)


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    scale = np.where(GENERATOR.random(logits.shape) < SHARE, 0.0, 1.0 / (1.0 - SHARE))
    return right.rounded(value * scale, value), right.rounded(gradient * scale, gradient)
