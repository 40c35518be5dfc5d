"""Targets of shape (N,) against logits of shape (N, 1) become (N, N): every logit is trained on every target."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "targets of another shape are broadcast"
REQUIREMENT = "FL-SHP-002"
SEEN = ("optax's losses",)
ADVICE = "Compare the shapes and refuse."
PROPERTY_ONLY = True
CHECKS_ARGUMENTS = False


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    return right.loss(*np.broadcast_arrays(logits, targets), **options)
