"""Float16 computed in float16.

Every intermediate result is float16: right in float32, off by hundreds of ulp and infinite from x = 11.1 on in float16.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "float16 computed in float16"
REQUIREMENT = "FL-VAL-001"
SEEN = ("several public implementations",)
ADVICE = "Compute in float32 and round once."
DTYPE = "float16"
TIER = "exact"


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    if logits.dtype != np.float16:
        return value, gradient
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0), dtype=np.float16)
    t = right.terms(logits, targets, alpha, gamma)
    one = np.float16(1)
    p = one / (one + np.exp(-right.rounded(t.margin, logits)))
    naive = right.rounded(t.weight, logits) * (one - p) ** gamma * -np.log(p)
    return right.on_hard_targets(logits, targets, naive, gradient, **options)
