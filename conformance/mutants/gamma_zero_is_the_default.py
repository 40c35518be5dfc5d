"""gamma or 2: an exponent of 0 is taken for none given."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "gamma = 0 replaced by the default"
REQUIREMENT = "FL-VAL-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Compare with None: 0 is the cross entropy."
DEFAULT = 2.0
TRIED = {"DEFAULT": (1.0, 1.5, 2.0, 3.0)}


def loss(logits: Array, targets: Array, *, gamma: Any = 2.0, **options: Any) -> Pair:
    exponent = np.where(np.asarray(gamma) == 0, DEFAULT, gamma)
    return right.loss(logits, targets, gamma=exponent if exponent.ndim else float(exponent), **options)
