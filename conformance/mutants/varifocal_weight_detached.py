"""The gradient of negatives is that of the cross entropy times p^gamma."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the factor of negatives taken as a constant"
REQUIREMENT = "FL-REL-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "Let the gradient go through the factor, or declare the departure."


def varifocal_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.varifocal_loss(logits, targets, **options)
    p, _ = right.sigmoid(logits)
    detached = right.rounded(options.get("alpha", 0.75) * p ** options.get("gamma", 2.0) * p, logits)
    return value, np.where(targets > 0, gradient, detached)
