"""focal_ref through its public functions: NumPy, PyTorch (eager and compiled) and JAX under jit."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from workload import ALPHA, BACKGROUND, GAMMA, Inputs

import focal_ref

FUNCTIONS = {"labels": focal_ref.loss_from_labels, "binary": focal_ref.loss, "softmax": focal_ref.softmax_loss}


def settings(kind: str, precision: str) -> dict[str, Any]:
    """Parameters of the loss; a softmax has no weight for negatives."""
    return {"alpha": None if kind == "softmax" else ALPHA, "gamma": GAMMA, "precision": precision}


def prepare(variant: str, inputs: Inputs, *, reused: bool, gradient: bool) -> Callable[[], Any]:
    """``variant`` is "LIBRARY PRECISION"."""
    library, precision = variant.split()
    kind = inputs.workload.kind
    parameters = settings(kind, precision)
    if library == "numpy":
        once = _numpy(inputs, FUNCTIONS[kind], parameters, reused=reused, gradient=gradient)
    elif library == "jax":
        once = _jax(inputs, FUNCTIONS[kind], parameters, gradient=gradient)
    else:
        compiled = library == "torch_compiled"
        once = _torch(inputs, FUNCTIONS[kind], parameters, compiled=compiled, gradient=gradient)
    if inputs.workload.passes == 1:
        return once

    def several() -> Any:
        result = None
        for _ in range(inputs.workload.passes):
            result = once()
        return result

    return several


def _numpy(
    inputs: Inputs, function: Any, parameters: dict[str, Any], *, reused: bool, gradient: bool
) -> Callable[[], Any]:
    logits, labels = inputs.logits, inputs.labels
    total = {"reduction": "sum", "normalizer": inputs.normalizer, **parameters}
    if not gradient:
        return lambda: function(logits, labels, **total)
    out = (None, np.zeros_like(logits)) if reused else None
    return lambda: focal_ref.value_and_grad(logits, labels, function=function, out=out, **total)


def _torch(
    inputs: Inputs, function: Any, parameters: dict[str, Any], *, compiled: bool, gradient: bool
) -> Callable[[], Any]:
    import torch
    from torch_peers import tensor

    logits = tensor(inputs.logits).requires_grad_()
    labels = torch.from_numpy(inputs.labels)
    total = partial(function, reduction="sum", normalizer=inputs.normalizer, **parameters)
    if compiled:
        total = torch.compile(total, dynamic=False)
    if not gradient:
        return lambda: total(logits, labels).detach()

    def once() -> Any:
        value = total(logits, labels)
        value.backward()
        # The caller has it now, and lets go of it: tensors do not keep the gradient of the last call.
        gradient, logits.grad = logits.grad, None
        return value.detach(), gradient

    return once


def _jax(inputs: Inputs, function: Any, parameters: dict[str, Any], *, gradient: bool) -> Callable[[], Any]:
    import jax

    logits, labels = jax.device_put(inputs.logits), jax.device_put(inputs.labels.astype(np.int32))
    total = partial(function, reduction="sum", normalizer=inputs.normalizer, **parameters)
    compiled = jax.jit(jax.value_and_grad(total) if gradient else total)
    return lambda: jax.block_until_ready(compiled(logits, labels))


def evaluate(variant: str, logits: Any, targets: Any) -> tuple[Any, Any]:
    """Value and gradient of each element of logits (n, 1), by labels; or of each row of a softmax."""
    library, precision = variant.split()
    kind = "softmax" if targets.ndim == 1 else "labels"
    labels = targets if kind == "softmax" else np.where(targets[:, 0] == 1, 0, BACKGROUND)
    parameters = settings(kind, precision)
    if library == "numpy":
        return focal_ref.value_and_grad(logits, labels, function=FUNCTIONS[kind], **parameters)
    function: Any = partial(FUNCTIONS[kind], **parameters)
    if library == "jax":
        import jax

        both = jax.jit(lambda x: (function(x, labels), jax.grad(lambda x: function(x, labels, reduction="sum"))(x)))
        value, gradient = both(logits)
        return np.asarray(value), np.asarray(gradient)
    import torch
    from torch_peers import array, tensor

    moved, moved_labels = tensor(logits).requires_grad_(), torch.from_numpy(labels)
    if library == "torch_compiled":
        function = torch.compile(function, dynamic=False)
    value = function(moved, moved_labels)
    value.sum().backward()
    return array(value.detach()), array(moved.grad)
