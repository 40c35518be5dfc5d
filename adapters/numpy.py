"""NumPy: the Numba kernels, in blocks."""

from typing import Any

import numpy as np

from focal_ref._parameters import ROWS, Parameters
from focal_ref.adapters._base import Adapter

Array = Any


class NumpyAdapter(Adapter):
    """NumPy arrays, bfloat16 of ml_dtypes included."""

    name = "numpy"
    modules = ("numpy",)
    shares_memory = True

    def namespace(self, array: Array) -> Any:
        return np

    def dtype_name(self, array: Array) -> str:
        return str(array.dtype.name)

    def is_host(self, array: Array) -> bool:
        return True

    def asarray(self, array: Any, *, like: Array | None = None, device: str | None = None) -> Array:
        return np.asarray(array)

    def to_numpy(self, array: Array) -> Any:
        return np.asarray(array)

    def as_floating(self, array: Array) -> Array:
        return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)

    def device_name(self, array: Array) -> str:
        return "cpu"

    def version(self) -> str:
        return np.__version__

    def check_out(self, inputs: list[Array], out: tuple[Array, ...]) -> None:
        if not all(array.flags.writeable for array in out):
            raise ValueError("out: got a read-only array; both arrays are written to")
        self.refuse_overlap(inputs, out, np.shares_memory)

    def moved(self, array: Array, source: int, destination: int) -> Array:
        return np.moveaxis(array, source, destination)

    def counted(self, condition: Array, times: int) -> Any:
        return max(int(np.count_nonzero(condition)) * times, 1)

    def loss(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        value = _results(logits, parameters)
        _host(parameters).elementwise(np.asarray(logits), np.asarray(targets), parameters, value=value)
        return value

    def total(self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any) -> Array:
        result = _host(parameters).total(np.asarray(logits), np.asarray(targets), parameters)
        return _scalar(logits, result, normalizer)

    def value_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, out: tuple[Array, Array] | None
    ) -> tuple[Array, Array]:
        value, gradient = out or (_results(logits, parameters), np.empty(np.shape(logits), dtype=logits.dtype))
        host = _host(parameters)
        host.elementwise(np.asarray(logits), np.asarray(targets), parameters, value=value, gradient=gradient)
        return value, gradient

    def total_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any, out: Array | None
    ) -> tuple[Array, Array]:
        gradient = np.empty(np.shape(logits), dtype=logits.dtype) if out is None else out
        upstream = 1.0 if normalizer is None else 1.0 / float(normalizer)
        result = _host(parameters).total_and_gradient(
            np.asarray(logits), np.asarray(targets), parameters, gradient=gradient, upstream=upstream
        )
        return _scalar(logits, result, normalizer), gradient

    def second_derivative(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        second = np.empty(np.shape(logits), dtype=logits.dtype)
        _host(parameters).second_derivative(np.asarray(logits), np.asarray(targets), parameters, out=second)
        return second

    def parameter_gradient(self, name: str, logits: Array, targets: Array, parameters: Parameters) -> Array:
        slope = np.empty(np.shape(logits), dtype=logits.dtype)
        _host(parameters).partial(name, np.asarray(logits), np.asarray(targets), parameters, out=slope)
        return slope


def _host(parameters: Parameters) -> Any:
    """The evaluation in blocks of elements, or of rows. Imported on use: it loads Numba."""
    if parameters.form == ROWS:
        from focal_ref._kernels import rows

        return rows
    from focal_ref._kernels import host

    return host


def _scalar(logits: Array, total: float, normalizer: Any) -> Array:
    """A sum over the normalizer in the dtype of sums."""
    if normalizer is not None:
        total /= float(normalizer)
    dtype = np.float32 if logits.dtype.itemsize == 2 else logits.dtype.type
    # A sum beyond the largest float32 is infinity, as IEEE 754 rounds it.
    with np.errstate(over="ignore"):
        return dtype(total)


def _results(logits: Array, parameters: Parameters) -> Array:
    shape = np.shape(logits)
    return np.empty(shape[:-1] if parameters.form == ROWS else shape, dtype=logits.dtype)
