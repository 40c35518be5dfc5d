"""Only the logit of the label gets a gradient; the other classes are never pushed down."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the other classes have no gradient"
REQUIREMENT = "FL-SMX-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "The derivative in class j has the factor p_j - [j = c]."


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    value, gradient = right.softmax_loss(logits, labels, **options)
    if labels.ndim == logits.ndim or options.get("axis", -1) != -1:
        return value, gradient
    own = labels[..., np.newaxis] == np.arange(logits.shape[-1])
    return value, np.where(own, gradient, 0).astype(gradient.dtype)
