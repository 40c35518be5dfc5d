"""The derivative of a power, gamma (1 - p_t)^(gamma - 1), is 0 times infinity for gamma = 0 at saturation."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "NaN gradient for gamma = 0"
REQUIREMENT = "FL-GRAD-003"
SEEN = (
    "https://github.com/google-deepmind/optax/issues/1267",
    "https://github.com/facebookresearch/sam3/issues/575",
)
ADVICE = "Leave the factor out for gamma = 0."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    gamma = np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, options.get("alpha", 0.25), gamma)
    rest = right.rounded(1.0, logits) - right.rounded(t.p, logits)
    lost = (gamma == 0) & (rest == 0) & right.is_hard(targets)
    return value, np.where(lost, gradient.dtype.type(np.nan), gradient)
