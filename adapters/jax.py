"""JAX: the closed forms in float64 inside a local x64 scope, with derivative rules of their own.

Exact precision needs float64 arithmetic, which JAX hides unless ``jax_enable_x64`` is set. The scope is entered only
around the arithmetic (`focal_ref.adapters._jax_compute`): arrays keep their dtypes outside, and programs need not
enable x64. It works under jit, vmap, scan, shard_map, grad and their compositions
(`focal_ref.adapters._jax_derivatives`).

XLA on the CPU flushes subnormal numbers to zero in every floating-point operation. Results are therefore rounded to
their bits in integer arithmetic, which flushes nothing: value and gradient have the same bits as NumPy's, subnormal
ones included. Of the float64 results, subnormal ones come out as zero, and those next to them may lose digits.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from focal_ref._parameters import Parameters
from focal_ref.adapters import _jax_compute, _jax_derivatives
from focal_ref.adapters._base import Step, Unavailable
from focal_ref.adapters._jax_compute import JaxFormulas, Quantity
from focal_ref.adapters._jax_shards import carried_alike

Array = Any


class JaxAdapter(JaxFormulas):
    """JAX arrays, concrete or traced."""

    writable = False

    def asarray(self, array: Any, *, like: Array | None = None, device: str | None = None) -> Array:
        # In the scope, float64 parameters keep their values; only the arithmetic there reads them.
        with jax.enable_x64(True):
            return jnp.asarray(array) if device is None else jax.device_put(array, jax.devices(_platform(device))[0])

    def to_numpy(self, array: Array) -> Any:
        return np.asarray(array)

    def as_floating(self, array: Array) -> Array:
        return array if array.dtype in (jnp.float32, jnp.float64) else array.astype(jnp.float32)

    def device_name(self, array: Array) -> str:
        platforms = {device.platform for device in array.devices()}
        return "cuda" if platforms == {"gpu"} else ",".join(sorted(platforms))

    def version(self) -> str:
        return str(jax.__version__)

    def check_device(self, device: str) -> None:
        try:
            jax.devices(_platform(device))
        except RuntimeError as error:
            raise Unavailable(f"jax: no device {device!r}: {str(error).splitlines()[0]}") from error

    def constant(self, array: Array) -> Array:
        return jax.lax.stop_gradient(array)

    def scan(self, step: Step, carry: Any, items: tuple[Array, ...]) -> tuple[Any, tuple[Array, ...]]:
        carry, results = jax.lax.scan(step, carried_alike(step, carry, items), items)
        return carry, results

    def top(self, values: Array, count: int) -> Array:
        # It would order -0 below 0, and subnormal numbers, which XLA takes for 0 everywhere else.
        return jax.lax.top_k(jnp.where(values == 0, 0, values), count)[1]

    def counted(self, condition: Array, times: int) -> Any:
        return _jax_compute.counted(condition, times)

    def loss(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        return _jax_derivatives.loss(*_jax_compute.split(logits, targets, parameters))

    def total(self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any) -> Array:
        return _jax_derivatives.total(*_jax_compute.split(logits, targets, parameters, normalizer))

    def value_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, out: tuple[Array, Array] | None
    ) -> tuple[Array, Array]:
        value, gradient = self._computed("value_and_gradient", logits, targets, parameters)
        return value, gradient

    def total_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any, out: Array | None
    ) -> tuple[Array, Array]:
        value, gradient = self._computed("total_and_gradient", logits, targets, parameters, normalizer=normalizer)
        return value, gradient

    def second_derivative(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        return self._computed("second", logits, targets, parameters)[0]

    def parameter_gradient(self, name: str, logits: Array, targets: Array, parameters: Parameters) -> Array:
        return self._computed("partial", logits, targets, parameters, name)[0]

    def _computed(
        self,
        kind: str,
        logits: Array,
        targets: Array,
        parameters: Parameters,
        name: str = "",
        normalizer: Any = None,
    ) -> tuple[Array, ...]:
        """A quantity without a derivative of its own, in the logits' dtype; a sum in float32 at least."""
        options, logits, arrays = _jax_compute.split(logits, targets, parameters, normalizer)
        logits, arrays = jax.lax.stop_gradient((logits, arrays))
        dtype = "float32" if kind == "total_and_gradient" and options.dtype != "float64" else options.dtype
        return _jax_compute.compute(Quantity(kind, dtype, name), options, logits, arrays)


def _platform(device: str) -> str:
    """JAX calls CUDA devices "cuda" since it has other GPUs too; an ordinal is not part of the name."""
    return device.partition(":")[0]
