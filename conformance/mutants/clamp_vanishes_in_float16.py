"""p is clamped to at least 1e-8, which is 0 in float16: the clamp does nothing, and log(0) is minus infinity."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "an epsilon that float16 does not have"
REQUIREMENT = "FL-EXT-004"
SEEN = (
    "https://github.com/zylo117/Yet-Another-EfficientDet-Pytorch/issues/502",
    "several public implementations",
)
ADVICE = "Compute from the logit, without a clamp."
DTYPE = "float16"
TIER = "exact"


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, alpha, gamma)
    p = np.maximum(right.rounded(t.p, logits), right.rounded(1e-8, logits))
    lost = (p == 0) & right.is_hard(targets) & (t.weight > 0)
    return np.where(lost, value.dtype.type(np.inf), value), gradient
