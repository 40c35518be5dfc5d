"""The numbers behind the PyTorch adapter, on plain tensors: no automatic differentiation, no tracing."""

import importlib.util
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from focal_ref._evaluate import evaluate_curvature, evaluate_partial, tree_sum
from focal_ref._parameters import NUMBERS, ROWS, Parameters
from focal_ref._threads import get_num_threads
from focal_ref.adapters._array_api import ArrayApiAdapter

Tensor = torch.Tensor

PART = 1 << 18
"""Elements that are added up at once: 2 MiB of float64."""

ARGUMENTS = ("logits", "targets", *NUMBERS, "weights")
"""What a loss may be differentiated in, in the order in which autograd and operators take them."""


class TorchFormulas(ArrayApiAdapter):
    """The closed forms on tensors of any device, one rounding at the end: for calls that no kernel takes."""

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


def results_shape(logits: Tensor, form: str) -> torch.Size:
    """Shape of what a loss without reduction returns."""
    return logits.shape[:-1] if form == ROWS else logits.shape


def derivative_shape(name: str, logits: Tensor, form: str) -> torch.Size:
    """Shape of the derivative of each result with respect to what is broadcast into it."""
    return results_shape(logits, form) if name == "weights" else logits.shape


def over_derivative(name: str, results: Tensor, form: str) -> Tensor:
    """What belongs to results, or one number for all of them, so that it broadcasts to a derivative of them."""
    return results.unsqueeze(-1) if form == ROWS and name != "weights" and results.ndim else results


def value_and_gradient(
    logits: Tensor, targets: Tensor, parameters: Parameters, out: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Each result and its derivative with respect to the logits, in the logits' dtype."""
    fused = _fused(logits, targets, parameters)
    if fused is None and logits.device.type != "cpu":
        return FORMULAS.value_and_grad(logits, targets, parameters, out)
    shape = results_shape(logits, parameters.form)
    value, gradient = out or (_empty(logits, shape), _empty(logits, logits.shape))
    if fused is not None:
        fused.run(logits, targets, parameters, value=value, gradient=gradient)
        return value, gradient
    call = _host(logits, targets, parameters)
    _kernels(parameters).elementwise(*call, value=numpy_view(value), gradient=numpy_view(gradient))
    return value, gradient


def loss(logits: Tensor, targets: Tensor, parameters: Parameters, dtype: torch.dtype) -> Tensor:
    """Each result, in the logits' dtype or, unrounded, in float64."""
    fused = _fused(logits, targets, parameters)
    if fused is None and logits.device.type != "cpu":
        if dtype == logits.dtype:
            return FORMULAS.loss(logits, targets, parameters)
        return FORMULAS.unrounded(logits, targets, parameters).value.to(dtype)
    value = _empty(logits, results_shape(logits, parameters.form), dtype)
    if fused is not None:
        fused.run(logits, targets, parameters, value=value)
        return value
    _kernels(parameters).elementwise(*_host(logits, targets, parameters), value=numpy_view(value))
    return value


def total(logits: Tensor, targets: Tensor, parameters: Parameters) -> Tensor:
    """Sum of the unrounded results, in float64."""
    fused = _fused(logits, targets, parameters)
    if fused is not None:
        result: Tensor = fused.total(logits, targets, parameters)
        return result
    if logits.device.type != "cpu":
        terms = FORMULAS.unrounded(logits, targets, parameters).value
        return tree_sum(FORMULAS.namespace(logits), terms.to(torch.float64))
    return torch.tensor(_kernels(parameters).total(*_host(logits, targets, parameters)), dtype=torch.float64)


def total_and_gradient(
    logits: Tensor, targets: Tensor, parameters: Parameters, upstream: Tensor, out: Tensor | None
) -> tuple[Tensor, Tensor]:
    """`total` and the derivatives times `upstream`, a tensor of shape (); in one pass where a kernel takes the call."""
    fused = _fused(logits, targets, parameters)
    if fused is None and logits.device.type != "cpu":
        slopes = gradient("logits", logits, targets, parameters, upstream, logits.shape, logits.dtype)
        return total(logits, targets, parameters), slopes if out is None else out.copy_(slopes)
    slopes = _empty(logits, logits.shape) if out is None else out
    if fused is not None:
        return fused.total(logits, targets, parameters, gradient=slopes, upstream=upstream), slopes
    result = _kernels(parameters).total_and_gradient(
        *_host(logits, targets, parameters), gradient=numpy_view(slopes), upstream=float(upstream)
    )
    return torch.tensor(result, dtype=torch.float64), slopes


def gradient(
    name: str,
    logits: Tensor,
    targets: Tensor,
    parameters: Parameters,
    factor: Tensor,
    shape: Sequence[int],
    dtype: torch.dtype,
) -> Tensor:
    """Derivative of each result with respect to "logits" or to what `evaluate_partial` knows.

    Multiplied by `factor`, summed to `shape`, and rounded once to `dtype`. Both factor and shape broadcast to
    `derivative_shape`.
    """
    own, shape = derivative_shape(name, logits, parameters.form), torch.Size(shape)
    fused = _fused(logits, targets, parameters) if name == "logits" and shape == own else None
    if fused is not None and (parameters.form != ROWS or factor.ndim == 0 or factor.shape[-1] == 1):
        of_results = factor[..., 0] if parameters.form == ROWS and factor.ndim else factor
        result = _empty(logits, own, dtype)
        fused.run(logits, targets, parameters, gradient=result, upstream=of_results)
        return result
    if logits.device.type != "cpu":
        wide = _gradient_of_formulas(name, logits, targets, parameters) * factor
        return rounded(wide if shape == own else sum_to(wide.to(torch.float64), shape), dtype)
    call, kernels = _host(logits, targets, parameters), _kernels(parameters)
    upstream = _upstream(name, factor, parameters)
    if shape.numel() == 1 and name != "logits" and upstream is not None:
        number = kernels.partial_total(name, *call, upstream)
        return rounded(torch.tensor(number, dtype=torch.float64).reshape(shape), dtype)
    if shape != own and logits.ndim > 1 and logits.shape[0] > 1 and logits.numel() > PART:
        return rounded(_in_parts(name, logits, targets, parameters, factor, shape), dtype)
    direct = shape == own and upstream is not None
    result = _empty(logits, own, dtype if direct else torch.float64)
    multiplied = 1.0 if upstream is None else upstream
    if name == "logits":
        kernels.elementwise(*call, gradient=numpy_view(result), upstream=multiplied)
    else:
        kernels.partial(name, *call, out=numpy_view(result), upstream=multiplied)
    if upstream is None:
        result *= factor
    return result if direct else rounded(sum_to(result, shape), dtype)


def curvature(logits: Tensor, targets: Tensor, parameters: Parameters, direction: Tensor, dtype: torch.dtype) -> Tensor:
    """The Hessian of each result times `direction`, which broadcasts to the logits, rounded once to `dtype`."""
    if logits.device.type != "cpu":
        xp, wide = FORMULAS.namespace(logits), FORMULAS.widened(logits, parameters)
        return rounded(evaluate_curvature(xp, wide, targets, parameters, direction), dtype)
    result = _empty(logits, logits.shape, dtype)
    call, out = _host(logits, targets, parameters), numpy_view(result)
    if parameters.form == ROWS:
        _kernels(parameters).curvature(*call, numpy_view(direction.expand(logits.shape)), out=out)
    else:
        _kernels(parameters).second_derivative(*call, out=out, upstream=_upstream("logits", direction, parameters))
    return result


def second(logits: Tensor, targets: Tensor, parameters: Parameters) -> Tensor:
    """Second derivative with respect to each logit by itself, in the logits' dtype."""
    fused = None if parameters.form == ROWS else _fused(logits, targets, parameters, second=True)
    if fused is None and logits.device.type != "cpu":
        return FORMULAS.second_derivative(logits, targets, parameters)
    result = _empty(logits, logits.shape)
    if fused is not None:
        fused.run(logits, targets, parameters, second=result)
        return result
    _kernels(parameters).second_derivative(*_host(logits, targets, parameters), out=numpy_view(result))
    return result


def rounded(wide: Tensor, dtype: torch.dtype) -> Tensor:
    """The numbers in another dtype, rounded once; PyTorch itself goes to 16 bits by way of float32."""
    return FORMULAS.narrowed(wide, str(dtype).removeprefix("torch."))


def sum_to(terms: Tensor, shape: Sequence[int]) -> Tensor:
    """Sum to a shape that broadcasts to the terms' own, by halving: in an order that depends on the shapes alone."""
    shape = torch.Size(shape)
    if terms.shape == shape:
        return terms
    added = terms.ndim - len(shape)
    lengths = (1,) * added + tuple(shape)
    summed = [axis for axis in range(terms.ndim) if axis < added or lengths[axis] != terms.shape[axis]]
    kept = [axis for axis in range(terms.ndim) if axis not in summed]
    size = 1
    for axis in summed:
        size *= terms.shape[axis]
    terms = terms.permute(*summed, *kept).reshape(size, *(terms.shape[axis] for axis in kept))
    if size == 0:
        return terms.sum(0).reshape(shape)
    while size > 1:
        half = (size + 1) // 2
        pairs = terms[: size - half] + terms[half:size]
        terms = pairs if size == 2 * half else torch.cat([pairs, terms[size - half : half]])
        size = half
    return terms[0].reshape(shape)


def _in_parts(
    name: str, logits: Tensor, targets: Tensor, parameters: Parameters, factor: Tensor, shape: torch.Size
) -> Tensor:
    """`gradient` in float64 by pieces of the first axis, so that only sums of derivatives are kept."""
    length = max(1, PART // logits[0].numel())
    rank = len(derivative_shape(name, logits, parameters.form))
    whole = len(shape) == rank and shape[0] > 1
    weights_rank = len(results_shape(logits, parameters.form))
    parts = []
    for start in range(0, logits.shape[0], length):
        stop = min(start + length, logits.shape[0])

        def cut(value: Any, rank: int, piece: slice = slice(start, stop)) -> Any:
            return value[piece] if isinstance(value, Tensor) and value.ndim == rank and value.shape[0] > 1 else value

        values: Any = {key: cut(getattr(parameters, key), logits.ndim) for key in NUMBERS}
        values["weights"] = cut(parameters.weights, weights_rank)
        call = logits[start:stop], targets[start:stop], replace(parameters, **values), cut(factor, rank)
        own = torch.Size((stop - start, *shape[1:])) if whole else shape
        parts.append(gradient(name, *call, own, torch.float64))
    return torch.cat(parts) if whole else sum_to(torch.stack(parts), shape)


def _gradient_of_formulas(name: str, logits: Tensor, targets: Tensor, parameters: Parameters) -> Tensor:
    if name == "logits":
        return FORMULAS.unrounded(logits, targets, parameters).gradient
    wide = FORMULAS.widened(logits, parameters)
    return evaluate_partial(FORMULAS.namespace(logits), name, wide, targets, parameters)


def _fused(logits: Tensor, targets: Tensor, parameters: Parameters, **options: bool) -> Any:
    """The Triton kernel that takes a call on CUDA tensors, or None."""
    if logits.device.type != "cuda" or not _has_triton():
        return None
    # Imported on use: Triton is not there on every platform, and takes a moment.
    from focal_ref.adapters import _torch_triton, _torch_triton_softmax

    kernel = _torch_triton_softmax if parameters.form == ROWS else _torch_triton
    return kernel if kernel.fits(logits, targets, parameters, **options) else None


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


def _kernels(parameters: Parameters) -> Any:
    """The evaluation in blocks of elements, or of rows. Imported on use: it loads Numba."""
    if parameters.form == ROWS:
        from focal_ref._kernels import rows

        return rows
    from focal_ref._kernels import host

    return host


def _host(logits: Tensor, targets: Tensor, parameters: Parameters) -> tuple[Any, Any, Parameters]:
    """Tensors as NumPy views."""
    views: Any = {
        name: numpy_view(array) for name in ARGUMENTS[2:] if isinstance(array := getattr(parameters, name), Tensor)
    }
    views["threads"] = min(torch.get_num_threads(), get_num_threads())
    return numpy_view(logits), numpy_view(targets), replace(parameters, **views)


def _upstream(name: str, factor: Tensor, parameters: Parameters) -> Any:
    """A factor as kernels take it: one for each result, or a number; None if it is one for each logit of a row."""
    # A number where all elements are one element seen many times, as the gradient of a sum is.
    if factor.numel() and not any(
        stride for stride, size in zip(factor.stride(), factor.shape, strict=True) if size > 1
    ):
        return float(factor[(0,) * factor.ndim])
    if parameters.form != ROWS or name == "weights":
        return numpy_view(factor)
    return numpy_view(factor[..., 0]) if factor.shape[-1] == 1 else None


def _empty(like: Tensor, shape: torch.Size, dtype: torch.dtype | None = None) -> Tensor:
    return torch.empty(shape, dtype=dtype or like.dtype, device=like.device)


def _strides_are_positive(array: Any) -> bool:
    return all(stride >= 0 for stride in array.strides)


def _bfloat16() -> Any:
    try:
        import ml_dtypes
    except ImportError as error:
        raise ImportError("bfloat16 tensors on the CPU need ml_dtypes: pip install 'focal-ref[torch]'") from error
    return np.dtype(ml_dtypes.bfloat16)
