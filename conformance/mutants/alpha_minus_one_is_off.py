"""A negative alpha switches weighting off, as in fvcore; here it is declared to be refused."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha = -1 means no weighting"
REQUIREMENT = "FL-SHP-006"
SEEN = (
    "fvcore, which documents it",
    "torchvision, which documents it",
)
ADVICE = 'Refuse it, or declare the sentinel: conventions.alpha_off = "-1".'
CHECKS_ARGUMENTS = False
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    return right.loss(
        logits, targets, alpha=None if np.ndim(alpha) == 0 and alpha is not None and alpha < 0 else alpha, **options
    )
