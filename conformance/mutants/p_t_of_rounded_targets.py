"""p_t is chosen by a threshold while the cross entropy keeps the soft target: its factor is no blend."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "p_t chosen by a threshold for soft targets"
REQUIREMENT = "FL-VAL-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "Blend it: p_t = p t + (1 - p) (1 - t)."
THRESHOLD = 0.5
TRIED = {"THRESHOLD": (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0), dtype=np.float64)
    hard, hard_slope = right.loss(logits, targets, **options)
    if right.is_signed(options):
        return hard, hard_slope
    share = np.asarray(targets).astype(np.float64)
    p, q = right.sigmoid(logits)
    weight = right.weight(targets, alpha)
    with np.errstate(all="ignore"):
        x = logits.astype(np.float64)
        entropy = share * np.logaddexp(0.0, -x) + (1.0 - share) * np.logaddexp(0.0, x)
        factor = np.where(share > THRESHOLD, q, p) ** gamma
        slope = np.where(share > THRESHOLD, -1.0, 1.0) * gamma * factor * np.where(share > THRESHOLD, p, q)
        gradient = weight * (factor * (p - share) + slope * entropy)
    soft = ~right.is_hard(targets)
    return (
        np.where(soft, right.rounded(weight * factor * entropy, hard), hard),
        np.where(soft, right.rounded(gradient, hard_slope), hard_slope),
    )
