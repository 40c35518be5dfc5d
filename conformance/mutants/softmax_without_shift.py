"""exp of the logits themselves overflows from 89 on in float32."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a softmax without a shift"
REQUIREMENT = "FL-SMX-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Subtract the largest logit of the row first."
PROPERTY_ONLY = True


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    value, gradient = right.softmax_loss(logits, labels, **options)
    total = np.exp(logits).sum(axis=options.get("axis", -1))
    return np.where(np.isinf(total), value.dtype.type(np.nan), value), gradient
