"""The modulating factor is gamma (1 - p_t), not (1 - p_t)^gamma."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "gamma multiplied instead of raised"
REQUIREMENT = "FL-VAL-001"
SEEN = (
    "https://github.com/fudannlp16/focal-loss/issues/2",
    "https://github.com/fudannlp16/focal-loss/issues/3",
)
ADVICE = "Raise 1 - p_t to the power of gamma."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), options.get("gamma", 2.0)
    t = right.terms(logits, targets, alpha, gamma)
    value = t.weight * gamma * t.q * t.entropy
    gradient = -t.sign * t.weight * gamma * (t.p * t.q * t.entropy + t.q * t.q)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
