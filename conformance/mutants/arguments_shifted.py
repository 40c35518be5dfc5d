"""Arguments are passed by position and have moved: gamma arrives as alpha and alpha as gamma, with negative weights."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha and gamma in each other's place"
REQUIREMENT = "FL-VAL-001"
SEEN = ("RT-DETR in transformers 5.23, which passes (alpha, gamma) for (num_boxes, alpha): -0.557 or an exception",)
ADVICE = "Pass hyper-parameters by keyword."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), options.get("gamma", 2.0)
    exchanged = right.terms(logits, targets, gamma, 0.0 if alpha is None else alpha)
    value = exchanged.weight * exchanged.factor * exchanged.entropy
    slope = (0.0 if alpha is None else alpha) * exchanged.p_entropy + exchanged.q
    gradient = -exchanged.sign * exchanged.weight * exchanged.factor * slope
    return right.on_hard_targets(logits, targets, value, gradient, **options)
