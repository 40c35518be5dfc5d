"""NumPy: the Numba kernels, in blocks."""

from typing import Any

import numpy as np

from focal_ref._parameters import Parameters
from focal_ref.adapters._base import Adapter

Array = Any


class NumpyAdapter(Adapter):
    """NumPy arrays, bfloat16 of ml_dtypes included."""

    name = "numpy"
    modules = ("numpy",)

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

    def check_out(self, inputs: list[Array], out: tuple[Array, Array]) -> None:
        if not all(array.flags.writeable for array in out):
            raise ValueError("out: got a read-only array; both arrays are written to")
        self.refuse_overlap(inputs, out, np.shares_memory)

    def loss(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        from focal_ref._kernels.host import elementwise

        value = np.empty(np.shape(logits), dtype=logits.dtype)
        elementwise(np.asarray(logits), np.asarray(targets), parameters, value=value)
        return value

    def total(self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any) -> Array:
        from focal_ref._kernels.host import total

        result = total(np.asarray(logits), np.asarray(targets), parameters)
        if normalizer is not None:
            result /= float(normalizer)
        dtype = np.float32 if logits.dtype.itemsize == 2 else logits.dtype.type
        # A sum beyond the largest float32 is infinity, as IEEE 754 rounds it.
        with np.errstate(over="ignore"):
            return dtype(result)

    def value_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, out: tuple[Array, Array] | None
    ) -> tuple[Array, Array]:
        from focal_ref._kernels.host import elementwise

        value, gradient = out or (np.empty(np.shape(logits), dtype=logits.dtype) for _ in range(2))
        elementwise(np.asarray(logits), np.asarray(targets), parameters, value=value, gradient=gradient)
        return value, gradient
