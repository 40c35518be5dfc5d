"""The derivative is the product of float16 factors, one of which is 0 long before the product is."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a float16 gradient that underflows on the way"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Compute in float32 and round once."
DTYPE = "float16"
TIER = "exact"


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    if logits.dtype != np.float16:
        return value, gradient
    t = right.terms(logits, targets, options.get("alpha", 0.25), options.get("gamma", 2.0))
    factor, weight, sign = (right.rounded(part, logits) for part in (t.factor, t.weight, t.sign))
    slope = right.rounded(np.asarray(options.get("gamma", 2.0)) * t.p_entropy + t.q, logits)
    return right.on_hard_targets(logits, targets, value, -sign * weight * factor * slope, **options)
