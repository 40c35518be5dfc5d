"""The number of positives is not limited to 1: a picture without ground truth gives infinity, or NaN."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "pictures without positives divide by zero"
REQUIREMENT = "FL-TGT-003"
SEEN = ("https://github.com/kuangliu/pytorch-retinanet/issues/14",)
ADVICE = "Divide by max(1, n)."


def normalize_loss(sums: Array, num_positive: Array, normalizer: str = "per_picture", **options: Any) -> Any:
    if normalizer != "per_picture":
        return detection.normalize_loss(sums, num_positive, normalizer, **options)
    return np.asarray(np.mean(sums / num_positive), dtype=sums.dtype)
