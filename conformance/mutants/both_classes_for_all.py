"""The losses of both classes are added up for every element; nothing is selected by the target."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "positive and negative loss added"
REQUIREMENT = "FL-VAL-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Select by the target."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if right.is_signed(options):
        return right.loss(logits, targets, **options)
    sides = [right.loss(logits, np.full_like(targets, side), **options) for side in (1, 0)]
    return sides[0][0] + sides[1][0], sides[0][1] + sides[1][1]
