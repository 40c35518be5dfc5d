"""The loss of probabilities returns its derivative times p (1 - p)."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the derivative in the logit returned for the one in p"
REQUIREMENT = "FL-GRAD-008"
SEEN = ("nobody has reported it yet",)
ADVICE = "Differentiate by the probability."


def loss_from_probabilities(probabilities: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss_from_probabilities(probabilities, targets, **options)
    return value, gradient * probabilities * (1 - probabilities)
