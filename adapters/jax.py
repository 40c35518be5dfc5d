"""JAX: the closed forms in float64 inside a local x64 scope, with custom derivative rules.

Exact precision needs float64 arithmetic, which JAX hides unless ``jax_enable_x64`` is set. The scope is entered only
around the arithmetic: arrays keep their dtypes outside, and programs need not enable x64. It works under jit, vmap,
grad and their compositions.

XLA on the CPU flushes subnormal numbers to zero in every floating-point operation. Results are therefore rounded to
their bits in integer arithmetic, which flushes nothing: value and gradient have the same bits as NumPy's, subnormal
ones included. Of the float64 results, subnormal ones come out as zero.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from focal_ref._evaluate import evaluate_second, tree_sum
from focal_ref._formulas import SPECIAL_EXPONENTS
from focal_ref._parameters import Encoding, Parameters, Precision
from focal_ref._rounding import NARROW_FORMATS, rounder
from focal_ref.adapters._array_api import ArrayApiAdapter
from focal_ref.adapters._base import Unavailable
from focal_ref.adapters._jax_multiply import multiply

Array = Any


@dataclass(frozen=True)
class Options:
    """What is constant to tracing: everything that is no array."""

    dtype: str
    encoding: Encoding
    precision: Precision
    alpha: float | None
    gamma: float | None
    normalizer: float | None


_NUMBERS = ("alpha", "gamma", "normalizer")


class JaxAdapter(ArrayApiAdapter):
    """JAX arrays, concrete or traced."""

    name = "jax"
    modules = ("jax", "jaxlib")
    writable = False

    def namespace(self, array: Array) -> Any:
        return jnp

    def dtype_name(self, array: Array) -> str:
        return str(array.dtype.name)

    def is_host(self, array: Array) -> bool:
        return False

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

    def bits(self, wide: Array) -> Array:
        return jax.lax.bitcast_convert_type(wide, jnp.int64)

    def from_bits(self, bits: Array, dtype: str) -> Array:
        unsigned = {32: jnp.uint32, 16: jnp.uint16}[NARROW_FORMATS[dtype].bits]
        return jax.lax.bitcast_convert_type(bits.astype(unsigned), getattr(jnp, dtype))

    def narrowed(self, wide: Array, dtype: str) -> Array:
        # Also float32 by its bits: XLA's own cast flushes subnormal results.
        if dtype == "float64":
            return wide.astype(jnp.float64)
        return self.from_bits(rounder(NARROW_FORMATS[dtype], jnp.where)(self.bits(wide.astype(jnp.float64))), dtype)

    def loss(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        return _loss(*_split(logits, targets, parameters, None))

    def total(self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any) -> Array:
        return _total(*_split(logits, targets, parameters, normalizer))

    def value_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, out: tuple[Array, Array] | None
    ) -> tuple[Array, Array]:
        options, logits, arrays = _split(logits, targets, parameters, None)
        arrays = jax.tree.map(jax.lax.stop_gradient, arrays)
        value, gradient = _compute("value_and_gradient", options, jax.lax.stop_gradient(logits), arrays)
        return value, gradient


_ADAPTER = JaxAdapter()


def _split(
    logits: Array, targets: Array, parameters: Parameters, normalizer: Any
) -> tuple[Options, Array, dict[str, Array]]:
    """Separate what is constant to tracing from the arrays."""
    normalizer = float(normalizer) if isinstance(normalizer, int) else normalizer
    named = {"alpha": parameters.alpha, "gamma": parameters.gamma, "normalizer": normalizer}
    numbers = {name: value if isinstance(value, float) else None for name, value in named.items()}
    arrays = {name: value for name, value in named.items() if value is not None and not isinstance(value, float)}
    if parameters.weights is not None:
        arrays["weights"] = parameters.weights
    options = Options(_ADAPTER.dtype_name(logits), parameters.encoding, parameters.precision, **numbers)
    return options, logits, {"targets": targets, **arrays}


def _compute(quantity: str, options: Options, logits: Array, arrays: dict[str, Array]) -> Any:
    """Run one fused computation, with numbers as float64 scalars: a new alpha or gamma compiles nothing anew.

    Only the exponents that have closed forms of their own stay constants.
    """
    constants = {name: getattr(options, name) for name in _NUMBERS}
    kept = options.gamma if options.gamma in SPECIAL_EXPONENTS else None
    with jax.enable_x64(True):
        scalars = {
            name: np.float64(value)
            for name, value in constants.items()
            if value is not None and not (name == "gamma" and kept is not None)
        }
        static = replace(options, alpha=None, gamma=kept, normalizer=None)
        return _compiled(quantity, static, logits, {**scalars, **arrays})


@partial(jax.jit, static_argnums=(0, 1))
def _compiled(quantity: str, options: Options, logits: Array, arrays: dict[str, Array]) -> Any:
    """One fused computation; runs and is traced with x64 enabled."""
    parameters = Parameters(
        alpha=arrays.get("alpha"),
        gamma=arrays.get("gamma", options.gamma),
        weights=arrays.get("weights"),
        encoding=options.encoding,
        precision=options.precision,
    )
    normalizer = arrays.get("normalizer")
    if normalizer is not None:
        normalizer = normalizer.astype(jnp.float64)
        normalizer = jnp.where((normalizer > 0) & jnp.isfinite(normalizer), normalizer, jnp.nan)

    def normalized(wide: Array) -> Array:
        return wide if normalizer is None else wide.astype(jnp.float64) / normalizer

    dtype = options.dtype
    if quantity == "second":
        wide = evaluate_second(jnp, _ADAPTER.widened(logits, parameters), arrays["targets"], parameters)
        return _ADAPTER.narrowed(normalized(wide), dtype)
    narrowed = quantity != "total"
    value, gradient = _ADAPTER.unrounded(logits, arrays["targets"], parameters, narrowed=narrowed)
    if quantity == "value":
        return _ADAPTER.narrowed(value, dtype)
    if quantity == "gradient":
        return _ADAPTER.narrowed(normalized(gradient), dtype)
    if quantity == "total":
        result = normalized(tree_sum(jnp, value.astype(jnp.float64)))
        return _ADAPTER.narrowed(result, "float64" if dtype == "float64" else "float32")
    return _ADAPTER.narrowed(value, dtype), _ADAPTER.narrowed(gradient, dtype)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _loss(options: Options, logits: Array, arrays: dict[str, Array]) -> Array:
    return _compute("value", options, logits, arrays)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _total(options: Options, logits: Array, arrays: dict[str, Array]) -> Array:
    return _compute("total", options, logits, arrays)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _gradient(options: Options, logits: Array, arrays: dict[str, Array]) -> Array:
    return _compute("gradient", options, logits, arrays)


# The tangent of each function is its closed form times the tangent of the logits.
def _loss_rule(options: Options, primals: Any, tangents: Any) -> tuple[Array, Array]:
    logits, arrays = primals
    value = _loss(options, logits, arrays)
    return value, _scaled(_gradient(options, logits, arrays), tangents, value.dtype)


def _total_rule(options: Options, primals: Any, tangents: Any) -> tuple[Array, Array]:
    logits, arrays = primals
    total = _total(options, logits, arrays)
    return total, jnp.sum(_scaled(_gradient(options, logits, arrays), tangents, total.dtype))


def _gradient_rule(options: Options, primals: Any, tangents: Any) -> tuple[Array, Array]:
    logits, arrays = primals
    gradient = _gradient(options, logits, arrays)
    return gradient, _scaled(_compute("second", options, logits, arrays), tangents, gradient.dtype)


def _scaled(derivative: Array, tangents: Any, dtype: Any) -> Array:
    """The derivative times the tangent of the logits; tangents of anything else are an error."""
    tangent, others = tangents
    for name, other in others.items():
        if not isinstance(other, jax.custom_derivatives.SymbolicZero):
            raise TypeError(
                f"{name}: got a derivative with respect to {name}; the loss is differentiable in the logits alone, "
                f"pass jax.lax.stop_gradient({name})"
            )
    if isinstance(tangent, jax.custom_derivatives.SymbolicZero):
        return jnp.zeros(derivative.shape, dtype)
    return multiply(derivative, tangent, dtype)


_loss.defjvp(_loss_rule, symbolic_zeros=True)
_total.defjvp(_total_rule, symbolic_zeros=True)
_gradient.defjvp(_gradient_rule, symbolic_zeros=True)


def _platform(device: str) -> str:
    """JAX calls CUDA devices "cuda" since it has other GPUs too; an ordinal is not part of the name."""
    return device.partition(":")[0]
