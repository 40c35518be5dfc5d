"""A reduced focal loss.

The factor is 1 below p_t = 1/2 and ((1 - p_t) / 0.5)^gamma above: a reduced focal loss under the name of the plain one.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a reduced focal loss"
REQUIREMENT = "FL-VAL-001"
SEEN = (
    "catalyst's reduced_focal_loss",
    "segmentation-models-pytorch, as the option reduced_threshold",
    "pytorch-toolbelt, as the option reduced_threshold",
)
ADVICE = "Leave the threshold out, or give the loss its own name."
THRESHOLD = 0.5
TRIED = {"THRESHOLD": (0.25, 0.5, 0.75)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    easy = t.p >= THRESHOLD
    factor = np.where(easy & (gamma != 0), (t.q / THRESHOLD) ** gamma, 1.0)
    slope = np.where(easy, gamma * t.p * factor, 0.0)
    value = t.weight * factor * t.entropy
    gradient = -t.sign * t.weight * (slope * t.entropy + factor * t.q)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
