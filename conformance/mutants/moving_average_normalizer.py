"""A normalizer that remembers.

Results are divided by a moving average of the number of positives: the loss of a batch depends on the batches before.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a normalizer that remembers"
REQUIREMENT = "FL-DET-001"
SEEN = ("detectron2's RetinaNet, where it is documented",)
ADVICE = "Divide by what is given as the normalizer; keep averages outside of the loss."
PROPERTY_ONLY = True
START = 100.0
MOMENTUM = 0.9
TRIED = {"START": (1.0, 100.0), "MOMENTUM": (0.5, 0.9, 0.99, 0.999)}


AVERAGE: list[float] = []


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    before = AVERAGE.pop() if AVERAGE else START
    AVERAGE.append(MOMENTUM * before + (1.0 - MOMENTUM) * max(1, int(np.sum(targets == 1))))
    scale = START / AVERAGE[0]
    return right.rounded(value * scale, value), right.rounded(gradient * scale, gradient)
