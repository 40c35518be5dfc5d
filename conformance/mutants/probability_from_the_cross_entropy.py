"""p_t = exp(-CE) of a cross entropy as (1 - t) x - log sigmoid(x), and 1 - p_t, all in the logits' format.

Both differences cancel for easy elements. Soft targets get no blended p_t. The derivative of the power is infinite for
gamma below 1 where 1 - p_t is rounded to 0, and times 0 NaN.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "p_t = exp(-CE) and 1 - p_t: easy elements cancel"
REQUIREMENT = "FL-VAL-002"
SEEN = (
    "segmentation-models-pytorch",
    "catalyst",
)
ADVICE = "Take the margin s = x for positives and -x for negatives: softplus(-s) times sigmoid(-s)^gamma."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0), dtype=logits.dtype)
    if right.is_signed(options):
        targets = (targets + 1) / 2
    t = np.asarray(targets).astype(logits.dtype)
    one = logits.dtype.type(1)
    with np.errstate(all="ignore"):
        p = one / (one + np.exp(-logits))
        entropy = (one - t) * logits - (np.minimum(logits, 0) - np.log1p(np.exp(-np.abs(logits))))
        p_t = np.exp(-entropy)
        rest = one - p_t
        factor = np.where(gamma == 0, one, rest**gamma)
        slope = np.where(gamma == 0, one * 0, gamma * rest ** (gamma - one))
        weight = right.weight(t, alpha)
        value = weight * (entropy * factor)
        # As automatic differentiation has it: each factor's derivative times the other factor.
        gradient = weight * (factor * (p - t) + entropy * slope * (p_t * (p - t)))
    if options.get("weights") is not None:
        value, gradient = value * options["weights"], gradient * options["weights"]
    return right.rounded(value, logits), right.rounded(gradient, logits)
