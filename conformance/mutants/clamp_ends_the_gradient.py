"""A clamp that ends the gradient of what is most wrong.

p is clamped to [1e-7, 1 - 1e-7], and the derivative of a clamp is 0 beyond it: at y = 1, x = -17 the gradient is 0.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "a clamp that ends the gradient of what is most wrong"
REQUIREMENT = "FL-EXT-009"
SEEN = (
    "keras BinaryFocalCrossentropy (-1.3e-6 in the place of -1 at x = -17)",
    "CenterNet with 1e-4",
)
ADVICE = "Do not clip; compute from the logit."
PROPERTY_ONLY = True
EPSILON = 1e-7
TRIED = {"EPSILON": (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)}


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    alpha, gamma = options.get("alpha", 0.25), np.asarray(options.get("gamma", 2.0))
    value, gradient = right.loss(logits, targets, **options)
    t = right.terms(logits, targets, alpha, gamma)
    bound = -np.log(EPSILON)
    limited = right.terms(np.clip(logits.astype(np.float64), -bound, bound), targets, alpha, gamma)
    beyond = np.abs(t.margin) > bound
    clamped = limited.weight * limited.factor * limited.entropy
    value, gradient = np.where(beyond, clamped, value), np.where(beyond, 0.0, gradient)
    return right.on_hard_targets(logits, targets, value, gradient, **options)
