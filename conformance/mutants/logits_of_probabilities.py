"""The loss of probabilities calls that of logits: a probability of 1 is a logit of 1."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "probabilities handed to the loss of logits"
REQUIREMENT = "FL-VAL-013"
SEEN = ("several public implementations",)
ADVICE = "Take log(p) and log(1 - p) of what is a probability."


def loss_from_probabilities(probabilities: Array, targets: Array, **options: Any) -> Pair:
    return right.loss(probabilities, targets, **options)
