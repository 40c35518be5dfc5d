"""Whether there are labels below 0 cannot be asked of a traced array, and the answer is taken for no."""

from typing import Any

import jax
import jax.numpy as jnp

import focal_ref

TITLE = "background and ignored labels skipped under jit"
REQUIREMENT = "FL-XFM-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "Choose with where."
LIBRARY = "jax"
ONLY_CLAIMS = frozenset(
    {"loss", "gradient", "autodiff", "compile", "labels", "background", "ignore", "reduction_sum", "reduction_mean"}
)
PROPERTY_ONLY = True


def loss_from_labels(logits: Any, labels: Any, **options: Any) -> Any:
    if isinstance(labels, jax.core.Tracer):
        labels = jnp.maximum(labels, 0)
    return focal_ref.loss_from_labels(logits, labels, **options)
