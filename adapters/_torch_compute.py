"""The numbers behind the PyTorch adapter, on plain tensors: no automatic differentiation, no tracing."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from focal_ref._evaluate import evaluate_second, tree_sum
from focal_ref._parameters import Parameters
from focal_ref.adapters._array_api import ArrayApiAdapter

Tensor = torch.Tensor


class TorchFormulas(ArrayApiAdapter):
    """The closed forms on tensors of any device, one rounding at the end. Not yet run on a GPU."""

    name = "torch"
    modules = ("torch",)

    def namespace(self, array: Tensor) -> Any:
        from array_api_compat import torch as namespace

        return namespace

    def bits(self, wide: Tensor) -> Tensor:
        return wide.view(torch.int64)

    def from_bits(self, bits: Tensor, dtype: str) -> Tensor:
        return bits.to(torch.int16).view(getattr(torch, dtype))


FORMULAS: Any = TorchFormulas()


def numpy_view(tensor: Tensor) -> Any:
    """A CPU tensor as a NumPy array that shares its memory, bfloat16 included."""
    plain = tensor.detach().resolve_conj().resolve_neg()
    if plain.dtype == torch.bfloat16:
        return plain.view(torch.int16).numpy().view(_bfloat16())
    return plain.numpy()


def tensor_from_numpy(array: Any) -> Tensor:
    """A NumPy array as a CPU tensor, bfloat16 included; shares memory where the array is writable."""
    array = np.asarray(array)
    if array.dtype.name == "bfloat16":
        return tensor_from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array if array.flags.writeable and _strides_are_positive(array) else array.copy())


def value_and_gradient(
    logits: Tensor,
    targets: Tensor,
    alpha: Any,
    gamma: Any,
    weights: Any,
    encoding: Any,
    precision: Any,
    *,
    out: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Value and gradient of each element, in the logits' dtype."""
    parameters = Parameters(alpha, gamma, weights, encoding, precision)
    if logits.device.type != "cpu":
        return FORMULAS.value_and_grad(logits, targets, parameters, out)
    from focal_ref._kernels.host import elementwise

    value, gradient = out or (_empty(logits), _empty(logits))
    elementwise(*_host(logits, targets, parameters), value=numpy_view(value), gradient=numpy_view(gradient))
    return value, gradient


def loss(
    logits: Tensor,
    targets: Tensor,
    alpha: Any,
    gamma: Any,
    weights: Any,
    encoding: Any,
    precision: Any,
    dtype: torch.dtype,
) -> Tensor:
    """Value of each element, in the logits' dtype or, unrounded, in float64."""
    parameters = Parameters(alpha, gamma, weights, encoding, precision)
    if logits.device.type != "cpu":
        if dtype == logits.dtype:
            return FORMULAS.loss(logits, targets, parameters)
        return FORMULAS.unrounded(logits, targets, parameters).value.to(dtype)
    from focal_ref._kernels.host import elementwise

    value = _empty(logits, dtype)
    elementwise(*_host(logits, targets, parameters), value=numpy_view(value))
    return value


def gradient(
    logits: Tensor,
    targets: Tensor,
    alpha: Any,
    gamma: Any,
    weights: Any,
    encoding: Any,
    precision: Any,
    upstream: Tensor,
    dtype: torch.dtype,
) -> Tensor:
    """Derivative of each element times `upstream` (which broadcasts to the logits), rounded once to `dtype`."""
    parameters = Parameters(alpha, gamma, weights, encoding, precision)
    if logits.device.type != "cpu":
        unrounded = FORMULAS.unrounded(logits, targets, parameters).gradient * upstream
        return FORMULAS.narrowed(unrounded, str(dtype).removeprefix("torch."))
    from focal_ref._kernels.host import elementwise

    result = _empty(logits, dtype)
    elementwise(*_host(logits, targets, parameters), gradient=numpy_view(result), upstream=_upstream(upstream))
    return result


def second(
    logits: Tensor,
    targets: Tensor,
    alpha: Any,
    gamma: Any,
    weights: Any,
    encoding: Any,
    precision: Any,
    upstream: Tensor,
    dtype: torch.dtype,
) -> Tensor:
    """Second derivative of each element times `upstream`, rounded once to `dtype`."""
    parameters = Parameters(alpha, gamma, weights, encoding, precision)
    if logits.device.type != "cpu":
        wide = evaluate_second(FORMULAS.namespace(logits), FORMULAS.widened(logits, parameters), targets, parameters)
        return FORMULAS.narrowed(wide * upstream, str(dtype).removeprefix("torch."))
    from focal_ref._kernels.host import second_derivative

    result = _empty(logits, dtype)
    second_derivative(*_host(logits, targets, parameters), out=numpy_view(result), upstream=_upstream(upstream))
    return result


def total(
    logits: Tensor,
    targets: Tensor,
    alpha: Any,
    gamma: Any,
    weights: Any,
    encoding: Any,
    precision: Any,
) -> Tensor:
    """Sum of the unrounded values, in float64."""
    parameters = Parameters(alpha, gamma, weights, encoding, precision)
    if logits.device.type != "cpu":
        terms = FORMULAS.unrounded(logits, targets, parameters).value
        return tree_sum(FORMULAS.namespace(logits), terms.to(torch.float64))
    from focal_ref._kernels.host import total as host_total

    return torch.tensor(host_total(*_host(logits, targets, parameters)), dtype=torch.float64)


def _host(logits: Tensor, targets: Tensor, parameters: Parameters) -> tuple[Any, Any, Parameters]:
    """Tensors as NumPy views."""
    views = {
        name: numpy_view(array)
        for name in ("alpha", "gamma", "weights")
        if isinstance(array := getattr(parameters, name), Tensor)
    }
    return numpy_view(logits), numpy_view(targets), replace(parameters, **views)


def _upstream(upstream: Tensor) -> Any:
    """A number where all elements are one element seen many times, as the gradient of a sum is."""
    if upstream.numel() and not any(
        stride for stride, size in zip(upstream.stride(), upstream.shape, strict=True) if size > 1
    ):
        return float(upstream[(0,) * upstream.ndim])
    return numpy_view(upstream)


def _empty(like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    return torch.empty(like.shape, dtype=dtype or like.dtype, device=like.device)


def _strides_are_positive(array: Any) -> bool:
    return all(stride >= 0 for stride in array.strides)


def _bfloat16() -> Any:
    try:
        import ml_dtypes
    except ImportError as error:
        raise ImportError("bfloat16 tensors on the CPU need ml_dtypes: pip install 'focal-ref[torch]'") from error
    return np.dtype(ml_dtypes.bfloat16)
