"""Losses of other packages on JAX, all under jit, and the fused stable formula."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from workload import ALPHA, GAMMA, IGNORE, Inputs

Loss = Callable[[Any, Any], Any]


def optax() -> Loss:
    """optax.sigmoid_focal_loss, each element."""
    from optax.losses import sigmoid_focal_loss

    return lambda logits, targets: sigmoid_focal_loss(logits, targets, alpha=ALPHA, gamma=GAMMA)


def keras() -> Loss:
    """keras.losses.BinaryFocalCrossentropy on JAX, the mean over the last axis times its length."""
    from keras.losses import BinaryFocalCrossentropy

    loss = BinaryFocalCrossentropy(
        apply_class_balancing=True, alpha=ALPHA, gamma=GAMMA, from_logits=True, reduction=None
    )
    return lambda logits, targets: loss(targets, logits) * logits.shape[-1]


def softmax() -> Loss:
    """The softmax loss of labels by jax.nn.log_softmax, each row."""

    def loss(logits: Any, labels: Any) -> Any:
        log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1)[:, 0]
        return -((1.0 - jnp.exp(log_p)) ** GAMMA) * log_p

    return loss


PEERS = {each.__name__: each for each in (optax, keras, softmax)}


def formula(logits: Any, positive: Any, kept: Any, normalizer: float) -> tuple[Any, Any]:
    """The loss and its derivative in the stable form, in the logits' precision."""
    margin = jnp.where(positive, logits, -logits)
    decay = jnp.exp(-jnp.abs(margin))
    cross_entropy = jnp.maximum(-margin, 0) + jnp.log1p(decay)
    favoured = 1 / (1 + decay)
    p = jnp.where(margin >= 0, favoured, decay * favoured)
    q = jnp.where(margin >= 0, decay * favoured, favoured)
    weight = jnp.where(positive, ALPHA, 1 - ALPHA).astype(logits.dtype) * kept * q * q
    slope = weight * (GAMMA * p * cross_entropy + q) / normalizer
    return weight * cross_entropy, jnp.where(positive, -slope, slope)


def _formula_sum(logits: Any, labels: Any, normalizer: float) -> tuple[Any, Any]:
    if labels.shape == logits.shape:
        positive, kept = labels != 0, 1
    else:
        positive = labels[:, None] == jnp.arange(logits.shape[1])
        kept = jnp.where(labels[:, None] == IGNORE, 0, 1).astype(logits.dtype)
    value, gradient = formula(logits, positive, kept, normalizer)
    return value.sum(dtype=jnp.float32) / normalizer, gradient


def prepare(variant: str, inputs: Inputs, *, reused: bool, gradient: bool) -> Callable[[], Any]:
    """``variant`` is "PEER [built]", or "formula"."""
    name, *how = variant.split()
    logits, labels = jax.device_put(inputs.logits), jax.device_put(inputs.labels.astype(np.int32))
    normalizer = inputs.normalizer
    if name == "formula":
        chosen = slice(None) if gradient else 0
        compiled = jax.jit(lambda *given: _formula_sum(*given, normalizer)[chosen])
        return lambda: jax.block_until_ready(compiled(logits, labels))
    each = PEERS[name]()
    if "built" in how:
        targets, classes = labels, inputs.workload.classes

        def total(logits: Any, labels: Any) -> Any:
            losses = each(logits, jax.nn.one_hot(labels, classes, dtype=logits.dtype))
            return jnp.where(labels[:, None] == IGNORE, 0, losses).sum() / normalizer

    else:
        targets = labels if name == "softmax" else jax.device_put(inputs.one_hot().astype(inputs.logits.dtype))

        def total(logits: Any, targets: Any) -> Any:
            return each(logits, targets).sum() / normalizer

    function = jax.jit(jax.value_and_grad(total) if gradient else total)
    return lambda: jax.block_until_ready(function(logits, targets))


def evaluate(variant: str, logits: Any, targets: Any) -> tuple[Any, Any]:
    """Value and gradient of each element, or of each row for a softmax."""
    name = variant.split()[0]
    if name == "formula":
        both = jax.jit(lambda logits, targets: formula(logits, targets == 1, 1, 1))(logits, targets)
        return np.asarray(both[0]), np.asarray(both[1])
    each = PEERS[name]()
    targets = targets if name == "softmax" else targets.astype(logits.dtype)
    value, gradient = jax.jit(lambda x, t: (each(x, t), jax.grad(lambda x: each(x, t).sum())(x)))(logits, targets)
    value = np.asarray(value)
    return value if name == "softmax" else value.reshape(logits.shape), np.asarray(gradient)
