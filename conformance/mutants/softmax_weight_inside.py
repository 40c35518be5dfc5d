"""p_t = exp(-w CE): at logits (1, 0, -1), y = 1, w = 5 and gamma = 2 the loss is 7.0257 in the place of 4.0147."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "class weights inside the cross entropy before p_t"
REQUIREMENT = "FL-SMX-011"
SEEN = ("https://github.com/gokulprasadthekkel/pytorch-multi-class-focal-loss/issues/1",)
ADVICE = "Take p_t from the unweighted cross entropy, and multiply by the weight at the end."


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    value, gradient = right.softmax_loss(logits, labels, **options)
    alpha, gamma = options.get("alpha"), options.get("gamma", 2.0)
    if alpha is None or labels.ndim == logits.ndim or np.any(labels < 0):
        return value, gradient
    entropy = right.softmax_loss(logits.astype(np.float64), labels, alpha=None, gamma=0.0)[0]
    entropy = entropy * np.asarray(alpha)[labels]
    return right.rounded((-np.expm1(-entropy)) ** gamma * entropy, logits), gradient
