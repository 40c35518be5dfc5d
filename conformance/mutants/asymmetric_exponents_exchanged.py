"""gamma_positive weighs negatives and gamma_negative positives."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the exponents of positives and negatives exchanged"
REQUIREMENT = "FL-REL-008"
SEEN = ("nobody has reported it yet",)
ADVICE = "Pass them by keyword."


def asymmetric_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    first, second = options.get("gamma_positive", 0.0), options.get("gamma_negative", 4.0)
    exchanged = {**options, "gamma_positive": second, "gamma_negative": first}
    return right.asymmetric_loss(logits, targets, **exchanged)
