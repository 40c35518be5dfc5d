"""2 y - 1 in the targets' own dtype.

The sign of the margin is computed in the dtype of the targets: in uint8 it is 255 for negatives, and of booleans
nonsense.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "2 y - 1 in the targets' own dtype"
REQUIREMENT = "FL-SHP-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Cast targets to the logits' dtype first."
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if targets.dtype.kind != "u":
        return right.loss(logits, targets, **options)
    sign = targets * np.uint8(2) - np.uint8(1)
    margin = (sign * logits).astype(logits.dtype)
    return right.loss(margin, np.ones_like(margin), **{**options, "alpha": None})
