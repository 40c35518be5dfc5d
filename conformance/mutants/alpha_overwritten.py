"""The weights gathered for the first batch take the place of alpha, and every later call uses them."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha overwritten by the first batch"
REQUIREMENT = "FL-DET-001"
SEEN = ("https://github.com/yatengLG/Focal-Loss-Pytorch/issues/9",)
ADVICE = "Keep what is gathered in a local variable."
PROPERTY_ONLY = True


KEPT: dict[str, Any] = {}


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    if KEPT and np.size(alpha) == 1:
        return right.loss(logits, targets, alpha=KEPT["alpha"], **options)
    first = np.asarray(targets).reshape(-1)[:1]
    result = right.loss(logits, targets, alpha=alpha, **options)
    if alpha is not None and np.size(alpha) == 1 and first.size:
        KEPT["alpha"] = float(np.mean(right.weight(targets, alpha)))
    return result
