"""The compiled kernel was written for up to ten classes, and leaves out the others."""

from typing import Any

import jax
import jax.numpy as jnp

import focal_ref

TITLE = "a compiled softmax of the first ten classes"
REQUIREMENT = "FL-XFM-007"
SEEN = ("nobody has reported it yet",)
ADVICE = "Loop over the classes."
LIBRARY = "jax"
ONLY_CLAIMS = frozenset(
    {
        "loss",
        "gradient",
        "autodiff",
        "compile",
        "softmax",
        "labels",
        "background",
        "ignore",
        "reduction_sum",
        "reduction_mean",
    }
)
PROPERTY_ONLY = True
CLASSES = 10
TRIED = {"CLASSES": (2, 4, 8, 10, 16, 32, 64, 80, 128)}


def softmax_loss(logits: Any, labels: Any, **options: Any) -> Any:
    if isinstance(labels, jax.core.Tracer) and logits.shape[-1] > CLASSES:
        logits = jnp.where(jnp.arange(logits.shape[-1]) < CLASSES, logits, -jnp.inf)
    return focal_ref.softmax_loss(logits, labels, **options)
