"""log(p_t) is limited to at least -100, as in PyTorch's binary_cross_entropy: the cross entropy of -1000 is 100."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the logarithm limited to -100"
REQUIREMENT = "FL-EXT-004"
SEEN = ("torch.nn.functional.binary_cross_entropy, which documents it",)
ADVICE = "Compute from the logit, without a limit."
LIMIT = 100.0
TRIED = {"LIMIT": (10.0, 20.0, 50.0, 100.0)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), options.get("gamma", 2.0)
    t = right.terms(logits, targets, alpha, gamma)
    value, gradient = right.loss(logits, targets, **options)
    beyond = t.entropy > LIMIT
    value, gradient = np.where(beyond, t.weight * t.factor * LIMIT, value), np.where(beyond, 0.0, gradient)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
