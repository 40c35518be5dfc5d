"""Alpha is tested for truth, so that 0 means no weighting where it is an ordinary weight."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha = 0 switches weighting off"
REQUIREMENT = "FL-VAL-004"
SEEN = (
    "ultralytics",
    "tensorflow-addons",
)
ADVICE = "Compare with None."


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    if np.ndim(alpha) == 0 and not alpha:
        alpha = None
    return right.loss(logits, targets, alpha=alpha, **options)
