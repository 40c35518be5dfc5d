"""Losses of float16 logits are float32: wider than what is declared, and twice the memory."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "float32 results for float16"
REQUIREMENT = "FL-DECL-011"
SEEN = ("nobody has reported it yet",)
ADVICE = "Give back the logits' dtype."
DTYPE = "float16"
TIER = "exact"
PROPERTY_ONLY = True


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    return value.astype(np.float32), gradient.astype(np.float32)
