"""The mask is a factor: NaN and infinite losses of ignored elements stay what they are."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "ignored elements multiplied by 0"
REQUIREMENT = "FL-LAB-003"
SEEN = ("several public implementations",)
ADVICE = "Choose zero with where."
PROPERTY_ONLY = True


def loss_from_labels(logits: Array, labels: Array, **options: Any) -> Pair:
    kept = (labels != -2)[..., np.newaxis]
    value, gradient = right.loss_from_labels(logits, np.where(labels == -2, -1, labels), **options)
    return value * kept, gradient * kept
