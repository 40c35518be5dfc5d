"""The derivative multiplies p_t = 0 by an infinite cross entropy: NaN where it is -alpha_t."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "NaN gradient at infinite logits"
REQUIREMENT = "FL-EXT-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Compute p_t CE together, or choose its limit with where."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    t = right.terms(logits, targets, options.get("alpha", 0.25), options.get("gamma", 2.0))
    return value, right.rounded(gradient + 0.0 * t.p * t.entropy, logits)
