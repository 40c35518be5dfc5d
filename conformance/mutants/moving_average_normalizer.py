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


AVERAGE = [100.0]


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    AVERAGE[0] = 0.9 * AVERAGE[0] + 0.1 * max(1, int(np.sum(targets == 1)))
    return right.rounded(value * 100.0 / AVERAGE[0], value), right.rounded(gradient * 100.0 / AVERAGE[0], gradient)
