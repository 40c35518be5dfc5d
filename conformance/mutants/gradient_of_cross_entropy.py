"""The gradient is alpha_t (p - y), that of the cross entropy, as if the factor were passed straight through."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the gradient of the cross entropy"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Differentiate the product."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), options.get("gamma", 2.0)
    t = right.terms(logits, targets, alpha, gamma)
    value = right.loss(logits, targets, **options)[0]
    gradient = -t.sign * t.weight * t.q
    return right.on_hard_targets(logits, targets, value, gradient, **options)
