"""PyTorch: the Numba kernels on CPU tensors without a copy, the closed forms elsewhere, wired into autograd.

Two ways lead to the same numbers. In eager mode `torch.autograd.Function` gives reverse and forward mode, double
backward and the transforms of `torch.func`. Under `torch.compile` and `torch.export` the custom operators of
`focal_ref.adapters._torch_operators` stand in the graph, because a compiler cannot look into a Numba kernel.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from focal_ref._parameters import Parameters
from focal_ref.adapters import _torch_compute as compute
from focal_ref.adapters import _torch_operators as operators
from focal_ref.adapters._base import Adapter, Unavailable
from focal_ref.adapters._torch_autograd import NO_DERIVATIVE, Gradient, Loss, Second, Total
from focal_ref.adapters._torch_compute import ARGUMENTS

Array = Any


class TorchAdapter(Adapter):
    """PyTorch tensors."""

    name = "torch"
    modules = ("torch",)
    shares_memory = True

    def owns(self, array_type: type) -> bool:
        # torch.compile cannot look into the bases of torch.nn.Parameter.
        return issubclass(array_type, torch.Tensor)

    def namespace(self, array: Array) -> Any:
        return compute.FORMULAS.namespace(array)

    def dtype_name(self, array: Array) -> str:
        return str(array.dtype).removeprefix("torch.")

    def is_host(self, array: Array) -> bool:
        if torch.compiler.is_compiling() or array.device.type != "cpu":
            return False
        # Inside the transforms of torch.func no tensor can be read, and a fake tensor has no values.
        return not _inside_transform() and type(array) in (torch.Tensor, torch.nn.Parameter)

    def asarray(self, array: Any, *, like: Array | None = None, device: str | None = None) -> Array:
        return compute.tensor_from_numpy(array).to(device if like is None else like.device)

    def to_numpy(self, array: Array) -> Any:
        return compute.numpy_view(array.detach().cpu())

    def as_floating(self, array: Array) -> Array:
        return array if array.dtype in (torch.float32, torch.float64) else array.to(torch.float64)

    def device_name(self, array: Array) -> str:
        return str(array.device)

    def version(self) -> str:
        return str(torch.__version__)

    def check_device(self, device: str) -> None:
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).strip().splitlines()[0]
            raise Unavailable(f"torch: no device {device!r}: {reason}") from error

    def check_supported(self, logits: Array, parameters: Parameters) -> None:
        if logits.device.type == "mps":
            raise TypeError("logits: on device 'mps', which has no float64; move them to the CPU or to CUDA")

    def check_constant(self, name: str, array: Array) -> None:
        if array.requires_grad:
            raise TypeError(f"{name}: got a tensor that requires grad; {NO_DERIVATIVE}, pass {name}.detach()")

    def constant(self, array: Array) -> Array:
        return array.detach()

    def check_same_device(self, name: str, array: Array, logits: Array) -> None:
        # A compiler cannot look at the module of every type.
        if not torch.compiler.is_compiling() and _is_dtensor(array) and not _is_dtensor(logits):
            raise TypeError(
                f"{name}: got a DTensor, logits are a plain tensor; pass {name}.to_local() or full_tensor()"
            )
        # A number in a tensor of its own is read where it lies, as everywhere in PyTorch.
        if array.device != logits.device and not (array.ndim == 0 and array.device.type == "cpu"):
            raise ValueError(f"{name}: got device {str(array.device)!r}; logits lie on {str(logits.device)!r}")

    def check_out(self, inputs: list[Array], out: tuple[Array, ...]) -> None:
        logits = inputs[0]
        if any(array.device != logits.device for array in out):
            raise ValueError(f"out: got devices {[str(array.device) for array in out]}; logits lie on {logits.device}")
        if any(array.requires_grad for array in out):
            raise ValueError("out: got a tensor that requires grad; it is written to, pass a plain tensor")
        if any(
            stride == 0 and size > 1 for array in out for stride, size in zip(array.stride(), array.shape, strict=True)
        ):
            raise ValueError("out: got an expanded tensor, whose elements share memory; pass a plain one")
        if not torch.compiler.is_compiling() and logits.device.type == "cpu" and not _inside_transform():
            views = tuple(compute.numpy_view(array) for array in out)
            arrays = [compute.numpy_view(array) for array in inputs]
            self.refuse_overlap(arrays, views, np.shares_memory)

    def moved(self, array: Array, source: int, destination: int) -> Array:
        # No view where nothing moves: it would stand in the graph.
        rank = max(array.ndim, 1)
        return array if source % rank == destination % rank else array.movedim(source, destination)

    def counted(self, condition: Array, times: int) -> Any:
        return (condition.sum() * times).clamp(min=1)

    def loss(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        if torch.compiler.is_compiling():
            return operators.loss(*_as_tensors(logits, targets, parameters))
        return Loss.apply(*_arguments(logits, targets, parameters), logits.dtype)

    def total(self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any) -> Array:
        return scalar(logits, self.unrounded_total(logits, targets, parameters), normalizer)

    def unrounded_total(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        """Sum of the unrounded losses in float64, differentiable."""
        if torch.compiler.is_compiling():
            return operators.total(*_as_tensors(logits, targets, parameters))
        if _inside_transform():
            # Batching and nested derivatives are left to the rules of single results, and the sum to torch.
            return Loss.apply(*_arguments(logits, targets, parameters), torch.float64).sum()
        return Total.apply(*_arguments(logits, targets, parameters))

    def value_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, out: tuple[Array, Array] | None
    ) -> tuple[Array, Array]:
        call = _detached(logits, targets, parameters)
        if torch.compiler.is_compiling():
            results = operators.value_and_grad(*_as_tensors(*call))
        elif _inside_transform():
            results = Loss.apply(*_arguments(*call), logits.dtype), self._derivative("logits", *call)
        else:
            return compute.value_and_gradient(*call, out)
        return results if out is None else (out[0].copy_(results[0]), out[1].copy_(results[1]))

    def total_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any, out: Array | None
    ) -> tuple[Array, Array]:
        call = _detached(logits, targets, parameters)
        factor = _normalized(torch.ones((), dtype=torch.float64, device=logits.device), normalizer)
        if not torch.compiler.is_compiling() and not _inside_transform():
            value, gradient = compute.total_and_gradient(*call, factor, out)
            return scalar(logits, value, normalizer), gradient
        value, gradient = self.total(*call, normalizer), self._derivative("logits", *call, factor)
        return value, gradient if out is None else out.copy_(gradient)

    def second_derivative(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        call = _detached(logits, targets, parameters)
        if torch.compiler.is_compiling():
            return operators.second_derivative(*_as_tensors(*call))
        return Second.apply(*_arguments(*call))

    def parameter_gradient(self, name: str, logits: Array, targets: Array, parameters: Parameters) -> Array:
        return self._derivative(name, *_detached(logits, targets, parameters))

    def _derivative(
        self, name: str, logits: Array, targets: Array, parameters: Parameters, factor: Array | None = None
    ) -> Array:
        """Derivative of each result with respect to what is broadcast into it, times a factor."""
        if factor is None:
            factor = torch.ones((), dtype=torch.float64, device=logits.device)
        shape = compute.derivative_shape(name, logits, parameters.form)
        if torch.compiler.is_compiling():
            return operators.gradient(*_as_tensors(logits, targets, parameters), name, factor, shape, logits.dtype)
        return Gradient.apply(name, *_arguments(logits, targets, parameters), factor, shape, logits.dtype)


def scalar(logits: Array, total: Array, normalizer: Any) -> Array:
    """A sum over the normalizer, in the dtype of sums."""
    return _normalized(total, normalizer).to(torch.float64 if logits.dtype == torch.float64 else torch.float32)


def _normalized(number: Array, normalizer: Any) -> Array:
    """A number over the normalizer; one that is out of range gives NaN."""
    if isinstance(normalizer, torch.Tensor):
        in_range = (normalizer > 0) & torch.isfinite(normalizer)
        normalizer = torch.where(in_range, normalizer.to(torch.float64), torch.nan)
    return number if normalizer is None else number / normalizer


def _is_dtensor(array: Array) -> bool:
    return type(array).__module__ == "torch.distributed.tensor"


def _inside_transform() -> bool:
    """Whether a transform of torch.func is at work, inside which tensors are stand-ins."""
    return torch._C._are_functorch_transforms_active()


def _arguments(logits: Array, targets: Array, parameters: Parameters) -> tuple[Any, ...]:
    """Everything that may be a tensor, and what is left."""
    values = [getattr(parameters, name) for name in ARGUMENTS[2:]]
    nothing: Any = dict.fromkeys(ARGUMENTS[2:])
    return logits, targets, *values, replace(parameters, **nothing)


def _as_tensors(logits: Array, targets: Array, parameters: Parameters) -> tuple[Any, ...]:
    """The arguments of an operator: numbers as float64 tensors on the CPU."""
    values = [getattr(parameters, name) for name in ARGUMENTS[2:]]
    tensors = [torch.tensor(value, dtype=torch.float64) if isinstance(value, float) else value for value in values]
    return logits, targets, *tensors, parameters.form, parameters.encoding, parameters.precision, parameters.clip


def _detached(logits: Array, targets: Array, parameters: Parameters) -> tuple[Array, Array, Parameters]:
    """The same call with nothing to differentiate."""
    tensors: Any = {
        name: value.detach() for name in ARGUMENTS[2:] if isinstance(value := getattr(parameters, name), torch.Tensor)
    }
    return logits.detach(), targets.detach(), replace(parameters, **tensors)
