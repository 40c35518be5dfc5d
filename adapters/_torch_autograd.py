"""Automatic differentiation of the PyTorch adapter in eager mode.

Each derivative is a closed form, so autograd never looks inside: the backward of `Loss` and `Total` is `Gradient`, with
respect to the logits or to any other argument, and the backward of `Gradient` with respect to the logits is
`Curvature`. What comes from above is multiplied in float64 before the one rounding.

Every function takes the arguments of a call as ``logits, targets, alpha, gamma, beta, gamma_positive, gamma_negative,
weights, static``: tensors, numbers or None, and a `Parameters` for all that is neither.
"""

from dataclasses import replace
from typing import Any

import torch

from focal_ref._parameters import NUMBERS, ROWS, Parameters
from focal_ref.adapters import _torch_compute as compute
from focal_ref.adapters._torch_compute import ARGUMENTS

Tensor = torch.Tensor


class Loss(torch.autograd.Function):
    """``Loss.apply(*arguments, dtype)``: each result, in the logits' dtype or unrounded in float64."""

    @staticmethod
    def forward(*inputs):
        *arguments, dtype = inputs
        return compute.loss(*_call(arguments), dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        *arguments, ctx.dtype = inputs
        _save(ctx, arguments)

    @staticmethod
    def backward(ctx, upstream):
        return *_pulled_back(ctx, upstream), None

    @staticmethod
    def jvp(ctx, *tangents):
        arguments = _saved(ctx)
        logits, form = arguments[0], arguments[-1].form
        shape = compute.results_shape(logits, form)
        parts = []
        for name, tangent in _given(arguments, tangents):
            own = shape if name == "weights" or form != ROWS else (*shape, 1)
            part = Gradient.apply(name, *_fixed(name, arguments), tangent, own, ctx.dtype)
            parts.append(part.reshape(shape))
        return _added(parts)

    @staticmethod
    def vmap(info, in_dims, *inputs):
        if _one_by_one(info, in_dims, inputs):
            return _stacked(Loss, info, in_dims, inputs)
        *arguments, dtype = inputs
        return Loss.apply(*_batched(info, in_dims, arguments), dtype), 0


class Total(torch.autograd.Function):
    """``Total.apply(*arguments)``: sum of the unrounded results; nothing of the size of the logits is kept."""

    @staticmethod
    def forward(*arguments):
        return compute.total(*_call(arguments))

    @staticmethod
    def setup_context(ctx, inputs, output):
        _save(ctx, inputs)

    @staticmethod
    def backward(ctx, upstream):
        return _pulled_back(ctx, upstream)

    @staticmethod
    def jvp(ctx, *tangents):
        arguments = _saved(ctx)
        return _added(
            [
                Gradient.apply(name, *_fixed(name, arguments), tangent, (), torch.float64)
                for name, tangent in _given(arguments, tangents)
            ]
        )


class Gradient(torch.autograd.Function):
    """``Gradient.apply(name, *arguments, factor, shape, dtype)``: derivative with respect to the argument of a name.

    As `compute.gradient` has it: times the factor, summed to the shape, rounded once. It is linear in the factor, and
    its own transpose once factor and shape are exchanged.
    """

    @staticmethod
    def forward(name, *inputs):
        *arguments, factor, shape, dtype = inputs
        return compute.gradient(name, *_call(arguments), factor, shape, dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.name, *arguments, factor, ctx.shape, ctx.dtype = inputs
        _save(ctx, arguments, factor)

    @staticmethod
    def backward(ctx, cotangent):
        to_logits = to_factor = None
        if cotangent is not None:
            *arguments, factor = _saved(ctx)
            if ctx.name == "logits" and ctx.needs_input_grad[1]:
                direction = cotangent.to(torch.float64) * factor
                to_logits = Curvature.apply(*_all_fixed(arguments), direction, arguments[0].dtype)
            if ctx.needs_input_grad[-3]:
                fixed = _fixed(ctx.name, arguments)
                to_factor = Gradient.apply(ctx.name, *fixed, cotangent, factor.shape, factor.dtype)
        return None, to_logits, *(None,) * len(ARGUMENTS), to_factor, None, None

    @staticmethod
    def jvp(ctx, *tangents):
        *arguments, factor = _saved(ctx)
        logits, form = arguments[0], arguments[-1].form
        parts = []
        for name, tangent in _given(arguments, tangents[1:-3]):
            if name != "logits" or ctx.name != "logits":
                raise RuntimeError(_mixed(ctx.name, name))
            if form == ROWS:
                wide = Curvature.apply(*_all_fixed(arguments), tangent.to(torch.float64), torch.float64) * factor
            else:
                direct = torch.Size(ctx.shape) == logits.shape
                direction = tangent.to(torch.float64) * factor
                wide = Curvature.apply(*_all_fixed(arguments), direction, ctx.dtype if direct else torch.float64)
            parts.append(compute.sum_to(wide, ctx.shape).to(ctx.dtype))
        if tangents[-3] is not None:
            fixed = _fixed(ctx.name, arguments)
            parts.append(Gradient.apply(ctx.name, *fixed, tangents[-3], ctx.shape, ctx.dtype))
        return _added(parts)

    @staticmethod
    def vmap(info, in_dims, *inputs):
        if _one_by_one(info, in_dims[1:], inputs[1:]):
            return _stacked(Gradient, info, in_dims, inputs)
        name, *arguments, factor, shape, dtype = inputs
        rank = len(compute.derivative_shape(name, _first(arguments[0], in_dims[1]), arguments[-1].form))
        factor = _moved_to_front(factor, in_dims[-3], rank)
        each = (info.batch_size, *(1,) * (rank - len(shape)), *shape)
        result = Gradient.apply(name, *_batched(info, in_dims[1:], arguments), factor, each, dtype)
        return result.reshape(info.batch_size, *shape), 0


class Curvature(torch.autograd.Function):
    """``Curvature.apply(*arguments, direction, dtype)``: the Hessian of each result times a direction.

    The direction broadcasts to the logits. Differentiable in the direction alone.
    """

    @staticmethod
    def forward(*inputs):
        *arguments, direction, dtype = inputs
        return compute.curvature(*_call(arguments), direction, dtype)

    @staticmethod
    def setup_context(ctx, inputs, output):
        *arguments, direction, ctx.dtype = inputs
        _save(ctx, arguments, direction)

    @staticmethod
    def backward(ctx, cotangent):
        to_direction = None
        if cotangent is not None and ctx.needs_input_grad[-2]:
            *arguments, direction = _saved(ctx)
            wide = Curvature.apply(*_all_fixed(arguments), cotangent.to(torch.float64), torch.float64)
            to_direction = compute.sum_to(wide, direction.shape).to(direction.dtype)
        return *(None,) * (len(ARGUMENTS) + 1), to_direction, None

    @staticmethod
    def jvp(ctx, *tangents):
        if any(tangent is not None for tangent in tangents[:-2]):
            raise RuntimeError(_THIRD)
        *arguments, _ = _saved(ctx)
        return Curvature.apply(*_all_fixed(arguments), tangents[-2].to(torch.float64), ctx.dtype)

    @staticmethod
    def vmap(info, in_dims, *inputs):
        if _one_by_one(info, in_dims, inputs):
            return _stacked(Curvature, info, in_dims, inputs)
        *arguments, direction, dtype = inputs
        direction = _moved_to_front(direction, in_dims[-2], _first(arguments[0], in_dims[0]).ndim)
        return Curvature.apply(*_batched(info, in_dims, arguments), direction, dtype), 0


class Second(torch.autograd.Function):
    """``Second.apply(*arguments)``: second derivative with respect to each logit by itself. Not differentiable."""

    @staticmethod
    def forward(*arguments):
        return compute.second(*_call(arguments))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(output)

    @staticmethod
    def vmap(info, in_dims, *inputs):
        if _one_by_one(info, in_dims, inputs):
            return _stacked(Second, info, in_dims, inputs)
        return Second.apply(*_batched(info, in_dims, inputs)), 0


class Fixed(torch.autograd.Function):
    """``Fixed.apply(tensor, text)``: the tensor itself, whose derivative is an error once somebody asks for it."""

    @staticmethod
    def forward(tensor, text):
        return tensor.view_as(tensor)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.set_materialize_grads(False)
        ctx.text = inputs[1]

    @staticmethod
    def backward(ctx, upstream):
        raise RuntimeError(ctx.text)

    @staticmethod
    def jvp(ctx, *tangents):
        raise RuntimeError(ctx.text)

    @staticmethod
    def vmap(info, in_dims, tensor, text):
        return Fixed.apply(tensor, text), in_dims[0]


NO_DERIVATIVE = "targets that are classes, signed ones or those of FL*, have no derivative"
"""The beginning of what is said to those who ask for one."""

_THIRD = "focal_ref: the loss is differentiable twice, a third derivative was asked for"


def _mixed(first: str, second: str) -> str:
    constant = second if first == "logits" else first
    return (
        "focal_ref: second derivatives exist in the logits alone, and one with respect to "
        f"{first} and {second} was asked for; pass {constant}.detach() to the loss that is differentiated twice"
    )


def _fixed(name: str, arguments: Any) -> list[Any]:
    """The arguments for a derivative with respect to one of them, of which only that in the logits has another."""
    free = "logits" if name == "logits" else None
    return _with_errors(arguments, {other: _mixed(name, other) for other in ARGUMENTS if other != free})


def _all_fixed(arguments: Any) -> list[Any]:
    """The arguments for a second derivative."""
    return _with_errors(arguments, dict.fromkeys(ARGUMENTS, _THIRD))


def _with_errors(arguments: Any, texts: dict[str, str]) -> list[Any]:
    # Autograd walks into `Fixed` only for a derivative that somebody wants, whereas `needs_input_grad` of a further
    # derivative is set for every tensor that requires grad. Without create_graph there are no further ones.
    if not torch.is_grad_enabled():
        return list(arguments)
    return [
        Fixed.apply(value, texts[name]) if name in texts and _is_floating(value) else value
        for name, value in zip(ARGUMENTS, arguments[:-1], strict=True)
    ] + [arguments[-1]]


def _is_floating(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _call(arguments: Any) -> tuple[Tensor, Tensor, Parameters]:
    """Logits, targets and all parameters, as everything but autograd takes them."""
    logits, targets, *values, static = arguments
    return logits, targets, replace(static, **dict(zip(ARGUMENTS[2:], values, strict=True)))


def _pulled_back(ctx: Any, upstream: Tensor | None) -> tuple[Any, ...]:
    """Derivative of the results, each times its upstream, with respect to every argument that needs one."""
    if upstream is None:
        return (None,) * (len(ARGUMENTS) + 1)
    arguments = _saved(ctx)
    derivatives = []
    for name, value, needed in zip(ARGUMENTS, arguments, ctx.needs_input_grad, strict=False):
        derivative = None
        if needed:
            factor = compute.over_derivative(name, upstream, arguments[-1].form)
            derivative = Gradient.apply(name, *_fixed(name, arguments), factor, value.shape, value.dtype)
        derivatives.append(derivative)
    return *derivatives, None


def _given(arguments: Any, tangents: Any) -> list[tuple[str, Tensor]]:
    given = [(name, tangent) for name, tangent in zip(ARGUMENTS, tangents, strict=False) if tangent is not None]
    static = arguments[-1]
    if (static.encoding == "signed" or static.form == "star") and any(name == "targets" for name, _ in given):
        raise TypeError(f"targets: got a tangent; {NO_DERIVATIVE}, pass targets without one")
    return given


def _added(parts: list[Tensor]) -> Tensor:
    result = parts[0]
    for part in parts[1:]:
        result = result + part
    return result


def _save(ctx: Any, arguments: Any, *more: Tensor) -> None:
    """Keep tensors for both modes, numbers on the context."""
    # None for what nobody differentiates, so that no zeros are multiplied and no error is raised in vain.
    ctx.set_materialize_grads(False)
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


def _batched(info: Any, in_dims: Any, arguments: Any) -> list[Any]:
    """Move each batch dimension to the front, with the ranks such that trailing dimensions keep broadcasting.

    Logits and targets, whose shapes belong together, both get the dimension; parameters get it where they have it.
    """
    static = arguments[-1]
    rank = _first(arguments[0], in_dims[0]).ndim
    aligned = []
    for name, value, dim in zip(ARGUMENTS, arguments, in_dims, strict=False):
        own = rank - 1 if name == "weights" and static.form == ROWS else rank
        if name in ("logits", "targets"):
            aligned.append(value.expand(info.batch_size, *value.shape) if dim is None else value.movedim(dim, 0))
        else:
            aligned.append(_moved_to_front(value, dim, own))
    return [*aligned, static]


def _moved_to_front(value: Any, dim: int | None, rank: int) -> Any:
    """A tensor with its batch dimension in front of `rank` others; without one, what it is."""
    if dim is None or not isinstance(value, Tensor):
        return value
    value = value.movedim(dim, 0)
    return value.reshape(value.shape[:1] + (1,) * (rank + 1 - value.ndim) + value.shape[1:])


def _first(value: Tensor, dim: int | None) -> Tensor:
    """One sample of a batch."""
    return value if dim is None else value.movedim(dim, 0)[0]


def _one_by_one(info: Any, in_dims: Any, arguments: Any) -> bool:
    """Whether samples have an alpha or a gamma of their own where rows of a block share them: softmax on the CPU."""
    static = arguments[len(ARGUMENTS)]
    if static.form != ROWS or arguments[0].device.type != "cpu" or info.batch_size == 0:
        return False
    return any(dim is not None for name, dim in zip(ARGUMENTS, in_dims, strict=False) if name in NUMBERS)


def _stacked(function: Any, info: Any, in_dims: Any, inputs: Any) -> tuple[Tensor, int]:
    results = []
    for index in range(info.batch_size):
        sample = [
            value.select(dim, index) if isinstance(value, Tensor) and dim is not None else value
            for value, dim in zip(inputs, in_dims, strict=True)
        ]
        results.append(function.apply(*sample))
    return torch.stack(results), 0
