"""Every element is compared with the target of the one before it."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "targets shifted by one element"
REQUIREMENT = "FL-DET-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Start both loops at the same element."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    return right.loss(logits, np.roll(np.asarray(targets).reshape(-1), 1).reshape(np.shape(targets)), **options)
