"""With precision="fast" the logit is rounded to 12 bits first: an approximation with an error of hundreds of ulp."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the fast precision reads 12 bits of the logit"
REQUIREMENT = "FL-VAL-012"
SEEN = ("nobody has reported it yet",)
ADVICE = "Keep the fast precision within its budget: 10 + 2 gamma ulp in float32."
TIER = "exact"
CLAIMS = frozenset({"fast"})
DROPPED_BITS = 12
TRIED = {"DROPPED_BITS": (8, 10, 12, 13, 14, 16)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if options.get("precision") == "fast" and logits.dtype == np.float32:
        logits = (logits.view(np.uint32) & np.uint32((0xFFFFFFFF << DROPPED_BITS) & 0xFFFFFFFF)).view(np.float32)
    return right.loss(logits, targets, **options)
