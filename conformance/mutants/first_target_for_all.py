"""All elements are compared with the first target."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "one target for all elements"
REQUIREMENT = "FL-DET-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Index the targets."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    first = np.full_like(targets, targets.reshape(-1)[0]) if targets.size else targets
    return right.loss(logits, first, **options)
