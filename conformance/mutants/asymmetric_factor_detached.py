"""The factor is computed without gradient."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the asymmetric factor taken as a constant"
REQUIREMENT = "FL-REL-009"
SEEN = ("timm's asymmetric loss, as an option",)
ADVICE = "Let the gradient go through the factor."


def asymmetric_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value = right.asymmetric_loss(logits, targets, **options)[0]
    clip = options.get("clip", 0.05)
    p, q = right.sigmoid(logits)
    shifted = np.maximum(p - clip, 0.0)
    negative = np.where(shifted > 0, shifted ** options.get("gamma_negative", 4.0) * p * q / (1 - shifted), 0.0)
    slope = -targets * q ** options.get("gamma_positive", 0.0) * q + (1 - targets) * negative
    return value, right.rounded(slope, logits)
