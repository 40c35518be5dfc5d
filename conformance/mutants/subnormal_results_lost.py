"""Results below the smallest normal number are flushed to zero, though they are declared to be kept."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "subnormal results are 0"
REQUIREMENT = "FL-DECL-013"
SEEN = ("nobody has reported it yet",)
ADVICE = 'Compile without flushing, or declare it: conventions.subnormals = "flushed".'
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    smallest = np.finfo(logits.dtype).smallest_normal if logits.dtype.kind == "f" else 2.0**-126
    flushed = (np.where(np.abs(part) < smallest, 0, part).astype(part.dtype) for part in (value, gradient))
    return next(flushed), next(flushed)
