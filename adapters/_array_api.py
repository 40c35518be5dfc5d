"""Any library by its Array API namespace alone: the closed forms run on its arrays as they are."""

from typing import Any

from focal_ref._evaluate import Unrounded, evaluate, evaluate_partial, evaluate_second, tree_sum
from focal_ref._parameters import Parameters
from focal_ref._rounding import NARROW_FORMATS, rounder
from focal_ref.adapters._base import Adapter

Array = Any


class ArrayApiAdapter(Adapter):
    """Arrays that follow the Array API standard (2024.12); the base of adapters without automatic differentiation.

    Libraries with 16-bit floats override `bits` and `from_bits`, so that results are rounded once.
    """

    name = "array_api"

    def owns(self, array_type: type) -> bool:
        return super().owns(array_type) if self.modules else hasattr(array_type, "__array_namespace__")

    def dtype_name(self, array: Array) -> str:
        return str(array.dtype).rpartition(".")[2]

    def is_host(self, array: Array) -> bool:
        return False

    def asarray(self, array: Any, *, like: Array | None = None, device: str | None = None) -> Array:
        if like is None:
            raise TypeError("like: got None; without it there is no namespace to make an array in")
        return self.namespace(like).asarray(array, device=like.device)

    def to_numpy(self, array: Array) -> Any:
        import numpy as np

        return np.from_dlpack(array)

    def as_floating(self, array: Array) -> Array:
        xp = self.namespace(array)
        return array if array.dtype in (xp.float32, xp.float64) else xp.astype(array, xp.float64)

    def device_name(self, array: Array) -> str:
        return str(array.device)

    def version(self) -> str:
        return "unknown"

    def bits(self, wide: Array) -> Array:
        """The bits of a float64 array as int64."""
        raise TypeError(f"{self.name} has no 16-bit floats to round to")

    def from_bits(self, bits: Array, dtype: str) -> Array:
        """An array of a 16-bit dtype from its bits in int64."""
        raise TypeError(f"{self.name} has no 16-bit floats to round to")

    def working_dtype(self, logits: Array, parameters: Parameters) -> Any:
        """The dtype to compute in: float64, or for the paper's loss float32 for narrower formats in fast precision."""
        xp = self.namespace(logits)
        fast = parameters.precision == "fast" and parameters.form == "focal"
        return xp.float32 if fast and self.dtype_name(logits) != "float64" else xp.float64

    def widened(self, logits: Array, parameters: Parameters) -> Array:
        """The logits in the working dtype."""
        return self.namespace(logits).astype(logits, self.working_dtype(logits, parameters))

    def narrowed(self, wide: Array, dtype: str) -> Array:
        """Results of the working dtype, rounded once."""
        xp = self.namespace(wide)
        if dtype in ("float64", "float32"):
            return xp.astype(wide, getattr(xp, dtype))
        round_bits = rounder(NARROW_FORMATS[dtype], xp.where)
        return self.from_bits(round_bits(self.bits(xp.astype(wide, xp.float64))), dtype)

    def unrounded(self, logits: Array, targets: Array, parameters: Parameters, *, narrowed: bool = False) -> Unrounded:
        """Value and gradient of each element in the working dtype; `narrowed` as in `evaluate`."""
        wide = self.widened(logits, parameters)
        narrowed = narrowed and wide.dtype != logits.dtype and parameters.precision == "exact"
        return evaluate(self.namespace(logits), wide, targets, parameters, narrowed=narrowed)

    def moved(self, array: Array, source: int, destination: int) -> Array:
        return self.namespace(array).moveaxis(array, source, destination)

    def counted(self, condition: Array, times: int) -> Any:
        xp = self.namespace(condition)
        # As an integer first: float32 counts only to 2^24.
        count = xp.sum(xp.astype(condition, xp.int64)) * times
        return xp.astype(xp.where(count > 1, count, 1), xp.float64)

    def loss(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        return self.narrowed(self.unrounded(logits, targets, parameters, narrowed=True).value, self.dtype_name(logits))

    def total(self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any) -> Array:
        xp = self.namespace(logits)
        terms = self.unrounded(logits, targets, parameters).value
        result = tree_sum(xp, xp.astype(terms, xp.float64))
        if normalizer is not None:
            result = result / normalizer
        dtype = self.dtype_name(logits)
        return self.narrowed(result, dtype if dtype == "float64" else "float32")

    def value_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, out: tuple[Array, Array] | None
    ) -> tuple[Array, Array]:
        dtype = self.dtype_name(logits)
        result = self.unrounded(logits, targets, parameters, narrowed=True)
        value, gradient = self.narrowed(result.value, dtype), self.narrowed(result.gradient, dtype)
        if out is None:
            return value, gradient
        out[0][...], out[1][...] = value, gradient
        return out

    def total_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any, out: Array | None
    ) -> tuple[Array, Array]:
        value = self.total(logits, targets, parameters, normalizer)
        slopes = self.unrounded(logits, targets, parameters).gradient
        if normalizer is not None:
            slopes = self.namespace(logits).astype(slopes, self.namespace(logits).float64) / normalizer
        gradient = self.narrowed(slopes, self.dtype_name(logits))
        if out is None:
            return value, gradient
        out[...] = gradient
        return value, out

    def second_derivative(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        xp = self.namespace(logits)
        wide = evaluate_second(xp, self.widened(logits, parameters), targets, parameters)
        return self.narrowed(wide, self.dtype_name(logits))

    def parameter_gradient(self, name: str, logits: Array, targets: Array, parameters: Parameters) -> Array:
        xp = self.namespace(logits)
        wide = evaluate_partial(xp, name, self.widened(logits, parameters), targets, parameters)
        return self.narrowed(wide, self.dtype_name(logits))
