"""A gamma that is not above 0 is replaced by 0.001 in silence."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "gamma = 0 replaced by a small number"
REQUIREMENT = "FL-STAR-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Refuse it: FL* divides by gamma."
PROPERTY_ONLY = True
CHECKS_ARGUMENTS = False
REPLACEMENT = 1e-3
TRIED = {"REPLACEMENT": (1e-12, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1.0)}


def star_loss(logits: Array, targets: Array, *, gamma: Any = 2.0, **options: Any) -> Pair:
    usable = np.ndim(gamma) or (gamma > 0 and np.isfinite(gamma))
    return right.star_loss(logits, targets, gamma=gamma if usable else REPLACEMENT, **options)
