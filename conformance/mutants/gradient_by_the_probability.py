"""The factor p (1 - p) of the chain rule is missing."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the derivative in p returned for the one in x"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("https://github.com/microsoft/LightGBM/issues/2052",)
ADVICE = "Multiply by p (1 - p)."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    t = right.terms(logits, targets, options.get("alpha", 0.25), options.get("gamma", 2.0))
    return right.on_hard_targets(logits, targets, value, gradient / (t.p * t.q), **options)
