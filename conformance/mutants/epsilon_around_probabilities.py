"""A probability of exactly 0 for a positive costs 16.1, and has no gradient."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "probabilities clipped to [1e-7, 1 - 1e-7]"
REQUIREMENT = "FL-EXT-008"
SEEN = ("keras, for probabilities",)
ADVICE = "Give the limits: 0 for the right class, infinity for the wrong one."
EPSILON = 1e-7
TRIED = {"EPSILON": (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)}


def loss_from_probabilities(probabilities: Array, targets: Array, **options: Any) -> Pair:
    p = right.rounded(np.clip(probabilities, EPSILON, 1 - EPSILON), probabilities)
    return right.loss_from_probabilities(p, targets, **options)
