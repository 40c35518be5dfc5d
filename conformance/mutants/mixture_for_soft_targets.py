"""The losses of both classes are mixed by the target, where the declared rule blends probabilities."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the mixture of two hard losses"
REQUIREMENT = "FL-VAL-006"
SEEN = ("kornia, where it is declared",)
ADVICE = 'Blend p_t, alpha_t and the cross entropy, or declare the rule: conventions.soft_targets = "mixture".'


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    if right.is_signed(options):
        return right.loss(logits, targets, **options)
    sides = [right.loss(logits, np.full_like(targets, side), **options) for side in (1, 0)]
    t = np.asarray(targets)
    right_value, right_gradient = right.loss(logits, targets, **options)
    hard = right.is_hard(targets)
    return (
        np.where(hard, right_value, right.rounded(t * sides[0][0] + (1 - t) * sides[1][0], logits)),
        np.where(hard, right_gradient, right.rounded(t * sides[0][1] + (1 - t) * sides[1][1], logits)),
    )
