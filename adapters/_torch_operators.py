"""Custom operators for graphs: what `torch.compile` and `torch.export` see in place of a Numba kernel.

Alpha and gamma arrive as tensors; a number is a float64 tensor of shape () on the CPU, whatever the logits' device, so
that reading it never synchronises.
"""

from typing import Any

import torch
from torch import Tensor

from focal_ref.adapters import _torch_compute as compute


@torch.library.custom_op("focal_ref::loss", mutates_args=())
def loss(
    logits: Tensor,
    targets: Tensor,
    alpha: Tensor | None,
    gamma: Tensor,
    weights: Tensor | None,
    encoding: str,
    precision: str,
) -> Tensor:
    """Value of each element."""
    arguments = targets, _number(alpha), _number(gamma), weights, encoding, precision
    return compute.loss(logits, *arguments, logits.dtype)


@torch.library.custom_op("focal_ref::total", mutates_args=())
def total(
    logits: Tensor,
    targets: Tensor,
    alpha: Tensor | None,
    gamma: Tensor,
    weights: Tensor | None,
    encoding: str,
    precision: str,
) -> Tensor:
    """Sum of the unrounded values, in float64."""
    return compute.total(logits, targets, _number(alpha), _number(gamma), weights, encoding, precision)


@torch.library.custom_op("focal_ref::value_and_grad", mutates_args=())
def value_and_grad(
    logits: Tensor,
    targets: Tensor,
    alpha: Tensor | None,
    gamma: Tensor,
    weights: Tensor | None,
    encoding: str,
    precision: str,
) -> tuple[Tensor, Tensor]:
    """Value and derivative of each element."""
    return compute.value_and_gradient(logits, targets, _number(alpha), _number(gamma), weights, encoding, precision)


@torch.library.custom_op("focal_ref::gradient", mutates_args=())
def gradient(
    logits: Tensor,
    targets: Tensor,
    alpha: Tensor | None,
    gamma: Tensor,
    weights: Tensor | None,
    encoding: str,
    precision: str,
    upstream: Tensor,
) -> Tensor:
    """Derivative of each element times upstream, in the logits' dtype."""
    return compute.gradient(
        logits,
        targets,
        _number(alpha),
        _number(gamma),
        weights,
        encoding,
        precision,
        upstream,
        logits.dtype,
    )


def _number(value: Tensor | None) -> Any:
    if value is None or value.ndim > 0:
        return value
    return float(value) if value.device.type == "cpu" else value


def _like_logits(logits: Tensor, *_: Any) -> Tensor:
    return torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)


def _float64_scalar(logits: Tensor, *_: Any) -> Tensor:
    return torch.empty((), dtype=torch.float64, device=logits.device)


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    *tensors, ctx.encoding, ctx.precision = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    return gradient(*ctx.saved_tensors, ctx.encoding, ctx.precision, upstream), *(None,) * 6


loss.register_fake(_like_logits)
gradient.register_fake(_like_logits)
total.register_fake(_float64_scalar)
value_and_grad.register_fake(lambda logits, *_: (_like_logits(logits), _like_logits(logits)))
loss.register_autograd(_backward, setup_context=_save)
total.register_autograd(_backward, setup_context=_save)
