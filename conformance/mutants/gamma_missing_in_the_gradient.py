"""The derivative of (1 - p_t)^gamma is written without its factor gamma."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the power rule without gamma"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "The derivative of u^gamma is gamma u^(gamma - 1)."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), options.get("gamma", 2.0)
    t = right.terms(logits, targets, alpha, gamma)
    value = right.loss(logits, targets, **options)[0]
    gradient = -t.sign * t.weight * t.factor * (t.p * t.entropy + t.q)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
