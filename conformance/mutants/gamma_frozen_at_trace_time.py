"""Under jit gamma is read from a cache that was filled when the first function was traced."""

from typing import Any

import jax

import focal_ref

TITLE = "the first gamma stays in compiled code"
REQUIREMENT = "FL-XFM-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Pass gamma as an argument of the compiled function."
LIBRARY = "jax"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "compile", "reduction_sum", "reduction_mean"})
PROPERTY_ONLY = True


FIRST: dict[str, Any] = {}


def loss(logits: Any, targets: Any, *, gamma: Any = 2.0, **options: Any) -> Any:
    # Eager derivatives trace the logits alone; under jit the targets are traced as well.
    if isinstance(targets, jax.core.Tracer):
        gamma = FIRST.setdefault("gamma", gamma)
    return focal_ref.loss(logits, targets, gamma=gamma, **options)
