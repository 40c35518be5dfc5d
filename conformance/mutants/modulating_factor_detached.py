"""The modulating factor taken as a constant in the gradient.

The factor is computed without gradient: at x = 0, y = 1, gamma = 2 the derivative is -0.125 in the place of -0.29829.
"""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the modulating factor taken as a constant in the gradient"
REQUIREMENT = "FL-GRAD-001"
SEEN = ("timm's asymmetric loss, as an option",)
ADVICE = "Let the gradient go through the factor."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value = right.loss(logits, targets, **options)[0]
    t = right.terms(logits, targets, options.get("alpha", 0.25), options.get("gamma", 2.0))
    return right.on_hard_targets(logits, targets, value, -t.sign * t.weight * t.factor * t.q, **options)
