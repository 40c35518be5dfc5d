"""The sums of all pictures are divided by the positives of all, where each picture has its own."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "one normalizer for the whole batch"
REQUIREMENT = "FL-TGT-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Divide per picture, or declare the normalizer of the batch."


def normalize_loss(sums: Array, num_positive: Array, normalizer: str = "per_picture", **options: Any) -> Any:
    rule = "batch" if normalizer == "per_picture" else normalizer
    return detection.normalize_loss(sums, num_positive, rule, **options)
