"""The batching rule of the loss takes the first of many gammas."""

from typing import Any

import jax
import jax.numpy as jnp

import focal_ref

TITLE = "a sweep over gamma computed with the first one"
REQUIREMENT = "FL-XFM-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Map gamma as well as the logits."
LIBRARY = "jax"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "vmap", "array_parameters", "reduction_sum", "reduction_mean"})
PROPERTY_ONLY = True


@jax.custom_batching.custom_vmap
def shared(gamma: Any) -> Any:
    return gamma


@shared.def_vmap
def first(size: int, batched: Any, gamma: Any) -> Any:
    return jnp.broadcast_to(gamma[:1], gamma.shape), batched[0]


def loss(logits: Any, targets: Any, *, gamma: Any = 2.0, **options: Any) -> Any:
    return focal_ref.loss(logits, targets, gamma=shared(gamma) if hasattr(gamma, "shape") else gamma, **options)
