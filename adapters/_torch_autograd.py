"""Automatic differentiation of the PyTorch adapter in eager mode.

Each derivative is a closed form, so autograd never looks inside: the backward of `Loss` is `Gradient`, and the backward
of `Gradient` is `Second`. The upstream gradient is multiplied in float64 before the one rounding. All three are
elementwise, so batching rules only align dimensions.
"""

from typing import Any

import torch

from focal_ref.adapters import _torch_compute as compute

Tensor = torch.Tensor


class Loss(torch.autograd.Function):
    """``Loss.apply(logits, targets, alpha, gamma, weights, encoding, precision, dtype)``: value of each element.

    In the logits' dtype, or unrounded in float64 for a sum to follow.
    """

    @staticmethod
    def forward(logits, targets, alpha, gamma, weights, encoding, precision, dtype):
        return compute.loss(logits, targets, alpha, gamma, weights, encoding, precision, dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        *arguments, ctx.dtype = inputs
        _save(ctx, arguments)

    @staticmethod
    def backward(ctx, upstream):
        arguments = _saved(ctx)
        return Gradient.apply(*arguments, upstream, arguments[0].dtype), *(None,) * 7

    @staticmethod
    def jvp(ctx, tangent, *_):
        return Gradient.apply(*_saved(ctx), tangent, ctx.dtype)

    @staticmethod
    def vmap(info, in_dims, *inputs):
        return Loss.apply(*_batched(info, in_dims, inputs)), 0


class Total(torch.autograd.Function):
    """The sum of unrounded losses without the terms: nothing of the size of the logits is kept."""

    @staticmethod
    def forward(logits, targets, alpha, gamma, weights, encoding, precision):
        return compute.total(logits, targets, alpha, gamma, weights, encoding, precision)

    @staticmethod
    def setup_context(ctx, inputs, output):
        _save(ctx, inputs)

    @staticmethod
    def backward(ctx, upstream):
        arguments = _saved(ctx)
        return Gradient.apply(*arguments, upstream, arguments[0].dtype), *(None,) * 6

    @staticmethod
    def jvp(ctx, tangent, *_):
        return Gradient.apply(*_saved(ctx), tangent, torch.float64).sum()


class Gradient(torch.autograd.Function):
    """``Gradient.apply(<arguments of Loss>, upstream, dtype)``: derivative times upstream, rounded once to dtype."""

    @staticmethod
    def forward(logits, targets, alpha, gamma, weights, encoding, precision, upstream, dtype):
        return compute.gradient(logits, targets, alpha, gamma, weights, encoding, precision, upstream, dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        *arguments, upstream, ctx.dtype = inputs
        _save(ctx, arguments, upstream)

    @staticmethod
    def backward(ctx, cotangent):
        *arguments, upstream = _saved(ctx)
        to_logits = to_upstream = None
        if ctx.needs_input_grad[0]:
            product = cotangent.to(torch.float64) * upstream
            to_logits = Second.apply(*arguments, product, arguments[0].dtype)
        if ctx.needs_input_grad[7]:
            terms = Gradient.apply(*arguments, cotangent, upstream.dtype)
            to_upstream = terms.sum_to_size(upstream.shape)
        return to_logits, *(None,) * 6, to_upstream, None

    @staticmethod
    def jvp(ctx, tangent, *others):
        *arguments, upstream = _saved(ctx)
        upstream_tangent = others[6]
        result = None
        if tangent is not None:
            result = Second.apply(*arguments, tangent.to(torch.float64) * upstream, ctx.dtype)
        if upstream_tangent is not None:
            part = Gradient.apply(*arguments, upstream_tangent, ctx.dtype)
            result = part if result is None else result + part
        return result

    @staticmethod
    def vmap(info, in_dims, *inputs):
        return Gradient.apply(*_batched(info, in_dims, inputs)), 0


class Second(torch.autograd.Function):
    """``Second.apply(<arguments of Gradient>)``: second derivative times upstream. Not differentiable further."""

    @staticmethod
    def forward(logits, targets, alpha, gamma, weights, encoding, precision, upstream, dtype):
        return compute.second(logits, targets, alpha, gamma, weights, encoding, precision, upstream, dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        *arguments, upstream, ctx.dtype = inputs
        _save(ctx, arguments, upstream)

    @staticmethod
    def backward(ctx, cotangent):
        if ctx.needs_input_grad[0]:
            raise RuntimeError("focal_ref: the loss is differentiable twice, a third derivative was asked for")
        *arguments, upstream = _saved(ctx)
        terms = Second.apply(*arguments, cotangent, upstream.dtype)
        return *(None,) * 7, terms.sum_to_size(upstream.shape), None

    @staticmethod
    def vmap(info, in_dims, *inputs):
        return Second.apply(*_batched(info, in_dims, inputs)), 0


def _save(ctx: Any, arguments: Any, *more: Tensor) -> None:
    """Keep logits, targets and tensor parameters for both modes, numbers on the context."""
    values = (*arguments, *more)
    tensors = [value for value in values if isinstance(value, Tensor)]
    ctx.values = [None if isinstance(value, Tensor) else value for value in values]
    ctx.is_tensor = [isinstance(value, Tensor) for value in values]
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)


def _saved(ctx: Any) -> tuple[Any, ...]:
    tensors = iter(ctx.saved_tensors)
    return tuple(
        next(tensors) if is_tensor else value for is_tensor, value in zip(ctx.is_tensor, ctx.values, strict=True)
    )


def _batched(info: Any, in_dims: Any, inputs: Any) -> list[Any]:
    """Move each batch dimension to the front, with the ranks such that trailing dimensions keep broadcasting.

    Logits and targets, which must have equal shapes, both get the dimension; parameters get it where they have it.
    """
    logits, logits_dim = inputs[0], in_dims[0]
    rank = logits.ndim - (logits_dim is not None)
    aligned = []
    for position, (value, dim) in enumerate(zip(inputs, in_dims, strict=True)):
        if isinstance(value, Tensor) and dim is not None:
            value = value.movedim(dim, 0)
            value = value.reshape(value.shape[:1] + (1,) * (rank + 1 - value.ndim) + value.shape[1:])
        elif position < 2:
            value = value.expand(info.batch_size, *value.shape)
        aligned.append(value)
    return aligned
