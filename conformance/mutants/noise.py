"""Random dropout of losses, or uninitialised memory: the same call gives another number."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a result that differs from call to call"
REQUIREMENT = "FL-DET-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Draw nothing, or from a seed that is an argument."
PROPERTY_ONLY = True


GENERATOR = np.random.default_rng(20170807)


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    scale = 1.0 + 2.0**-20 * GENERATOR.random(logits.shape)
    return right.rounded(value * scale, value), right.rounded(gradient * scale, gradient)
