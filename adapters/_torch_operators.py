"""Custom operators for graphs: what `torch.compile` and `torch.export` see in place of a Numba kernel.

Hyper-parameters arrive as tensors; a number is a float64 tensor of shape () on the CPU, whatever the logits' device, so
that reading it never synchronises.
"""

from typing import Any

import torch
from torch import Tensor

from focal_ref._parameters import Parameters, range_of
from focal_ref.adapters import _torch_compute as compute
from focal_ref.adapters._torch_compute import ARGUMENTS

_OPTIONAL = ", ".join(f"Tensor? {name}" for name in ARGUMENTS[2:])
_CALL = f"Tensor logits, Tensor targets, {_OPTIONAL}, str form, str encoding, str precision, float clip"


@torch.library.custom_op("focal_ref::loss", mutates_args=(), schema=f"({_CALL}) -> Tensor")
def loss(logits: Tensor, targets: Tensor, *others: Any) -> Tensor:
    """Each result."""
    return compute.loss(logits, targets, _parameters(others), logits.dtype)


@torch.library.custom_op("focal_ref::total", mutates_args=(), schema=f"({_CALL}) -> Tensor")
def total(logits: Tensor, targets: Tensor, *others: Any) -> Tensor:
    """Sum of the unrounded results, in float64."""
    return compute.total(logits, targets, _parameters(others))


@torch.library.custom_op("focal_ref::value_and_grad", mutates_args=(), schema=f"({_CALL}) -> (Tensor, Tensor)")
def value_and_grad(logits: Tensor, targets: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    """Each result and its derivative with respect to the logits."""
    return compute.value_and_gradient(logits, targets, _parameters(others))


@torch.library.custom_op("focal_ref::second_derivative", mutates_args=(), schema=f"({_CALL}) -> Tensor")
def second_derivative(logits: Tensor, targets: Tensor, *others: Any) -> Tensor:
    """Second derivative with respect to each logit by itself."""
    return compute.second(logits, targets, _parameters(others))


@torch.library.custom_op(
    "focal_ref::gradient",
    mutates_args=(),
    schema=f"({_CALL}, str name, Tensor factor, SymInt[] shape, ScalarType dtype) -> Tensor",
)
def gradient(logits: Tensor, targets: Tensor, *others: Any) -> Tensor:
    """Derivative of the results with respect to the argument of a name, as `compute.gradient`."""
    *others_, name, factor, shape, dtype = others
    return compute.gradient(name, logits, targets, _parameters(others_), factor, shape, dtype)


def _parameters(others: Any) -> Parameters:
    """What `_CALL` names after the targets."""
    *tensors, form, encoding, precision, clip = others
    values = {name: _number(form, name, value) for name, value in zip(ARGUMENTS[2:], tensors, strict=True)}
    return Parameters(form=form, encoding=encoding, precision=precision, clip=clip, **values)


def _number(form: str, name: str, value: Tensor | None) -> Any:
    """A number where the tensor holds one that is in range; others stay tensors, which give NaN."""
    if value is None or value.ndim > 0 or value.device.type != "cpu" or name == "weights":
        return value
    number = float(value)
    return number if range_of(form, name).contains(number) else value


def _fake_results(logits: Tensor, targets: Tensor, *others: Any) -> Tensor:
    return torch.empty(compute.results_shape(logits, _form(others)), dtype=logits.dtype, device=logits.device)


def _fake_logits(logits: Tensor, *_: Any) -> Tensor:
    return torch.empty(logits.shape, dtype=logits.dtype, device=logits.device)


def _fake_scalar(logits: Tensor, *_: Any) -> Tensor:
    return torch.empty((), dtype=torch.float64, device=logits.device)


def _fake_gradient(logits: Tensor, *others: Any) -> Tensor:
    shape, dtype = others[-2:]
    return torch.empty(shape, dtype=dtype, device=logits.device)


def _form(others: Any) -> str:
    form: str = others[len(ARGUMENTS) - 2]
    return form


def _save(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[: len(ARGUMENTS)])
    ctx.constants = inputs[len(ARGUMENTS) :]


def _backward(ctx: Any, upstream: Tensor) -> tuple[Any, ...]:
    arguments = (*ctx.saved_tensors, *ctx.constants)
    derivatives = []
    for name, value, needed in zip(ARGUMENTS, arguments, ctx.needs_input_grad, strict=False):
        derivative = None
        if needed:
            factor = compute.over_derivative(name, upstream, ctx.constants[0])
            derivative = gradient(*arguments, name, factor, value.shape, value.dtype)
        derivatives.append(derivative)
    return *derivatives, *(None for _ in ctx.constants)


loss.register_fake(_fake_results)
total.register_fake(_fake_scalar)
value_and_grad.register_fake(lambda *call: (_fake_results(*call), _fake_logits(*call)))
second_derivative.register_fake(_fake_logits)
gradient.register_fake(_fake_gradient)
loss.register_autograd(_backward, setup_context=_save)
total.register_autograd(_backward, setup_context=_save)
