"""The numbers behind the JAX adapter: one fused computation a quantity, in float64 inside a local x64 scope.

Nothing here has a derivative of its own: results are rounded by their bits, which automatic differentiation takes for
constants. `focal_ref.adapters._jax_derivatives` gives each the rule that belongs to it.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from focal_ref._evaluate import evaluate, evaluate_curvature, evaluate_partial, evaluate_second, tree_sum
from focal_ref._formulas import SPECIAL_EXPONENTS
from focal_ref._parameters import NUMBERS, ROWS, Parameters, Precision
from focal_ref.adapters._array_api import ArrayApiAdapter
from focal_ref.adapters._jax_multiply import narrowed, widened

Array = Any


@dataclass(frozen=True)
class Options:
    """What is constant to tracing: everything that is no array.

    Attributes
    ----------
    form, encoding, precision
        As in `Parameters`.
    dtype
        Of the logits.
    numbers
        Hyper-parameters, clip and normalizer that are numbers, by name.
    """

    form: str
    encoding: Literal["binary", "signed", "labels"]
    precision: Precision
    dtype: str
    numbers: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Quantity:
    """What to compute.

    Attributes
    ----------
    kind
        "value", "gradient", "value_and_gradient", "second" or "curvature" (which takes a "direction" among the
        arrays) of each result; "total", the sum of the values; "partial" of each result with respect to `name`, or
        "total_partial", of the sum.
    dtype
        What it is rounded to.
    name
        Of one of the arrays.
    """

    kind: str
    dtype: str
    name: str = ""


class _Accurate:
    """jax.numpy, but for its log1p, which on the CPU is off by 120 ulp of float64 between -0.42 and -0.35."""

    def __getattr__(self, name: str) -> Any:
        return getattr(jnp, name)

    @staticmethod
    def log1p(array: Array) -> Array:
        return jnp.where(array < -0.25, jnp.log(1.0 + array), jnp.log1p(array))


_ACCURATE = _Accurate()


class JaxFormulas(ArrayApiAdapter):
    """The closed forms on JAX arrays, one rounding at the end. Runs and is traced with x64 enabled."""

    name = "jax"
    modules = ("jax", "jaxlib")

    def namespace(self, array: Array) -> Any:
        return jnp

    def dtype_name(self, array: Array) -> str:
        return str(array.dtype.name)

    def widened(self, logits: Array, parameters: Parameters) -> Array:
        # The logarithm of a subnormal probability is a number like any other; a logit may as well be zero.
        return widened(logits) if parameters.form == "probability" else super().widened(logits, parameters)

    def narrowed(self, wide: Array, dtype: str) -> Array:
        return narrowed(wide.astype(jnp.float64), dtype)


_FORMULAS = JaxFormulas()


def split(
    logits: Array, targets: Array, parameters: Parameters, normalizer: Any = None
) -> tuple[Options, Array, dict[str, Array]]:
    """Separate what is constant to tracing from the arrays."""
    named = {name: getattr(parameters, name) for name in NUMBERS}
    named |= {"clip": float(parameters.clip)} if parameters.form == "asymmetric" else {}
    named |= {"normalizer": float(normalizer) if isinstance(normalizer, int) else normalizer}
    numbers = tuple((name, value) for name, value in named.items() if isinstance(value, float))
    arrays = {name: value for name, value in named.items() if value is not None and not isinstance(value, float)}
    if parameters.weights is not None:
        arrays["weights"] = parameters.weights
    dtype = _FORMULAS.dtype_name(logits)
    options = Options(parameters.form, parameters.encoding, parameters.precision, dtype, numbers)
    return options, logits, {"targets": targets, **arrays}


def compute(quantity: Quantity, options: Options, logits: Array, arrays: dict[str, Array]) -> Any:
    """Run one fused computation, with numbers as float64 scalars: a new alpha or gamma compiles nothing anew.

    Only the exponents for which the paper's loss has closed forms of their own stay constants.
    """
    kept = tuple(
        (name, value)
        for name, value in options.numbers
        if options.form == "focal" and name == "gamma" and value in SPECIAL_EXPONENTS
    )
    with jax.enable_x64(True):
        scalars = {name: np.float64(value) for name, value in options.numbers if (name, value) not in kept}
        return _compiled(quantity, replace(options, numbers=kept), logits, {**scalars, **arrays})


@partial(jax.jit, static_argnums=(0, 1))
def _compiled(quantity: Quantity, options: Options, logits: Array, arrays: dict[str, Array]) -> Any:
    """One fused computation; runs and is traced with x64 enabled."""
    given: dict[str, Any] = {**dict(options.numbers), **arrays}
    parameters = Parameters(
        **{name: given.get(name) for name in (*NUMBERS, "weights")},
        encoding=options.encoding,
        precision=options.precision,
        form=options.form,
        clip=given.get("clip", 0.0),
    )
    targets, normalizer = arrays["targets"], _normalizer(arrays)

    def rounded(wide: Array) -> Array:
        return _FORMULAS.narrowed(wide, quantity.dtype)

    def normalized(wide: Array) -> Array:
        return wide if normalizer is None else wide.astype(jnp.float64) / normalizer

    def added(terms: Array) -> Array:
        return normalized(tree_sum(jnp, terms.astype(jnp.float64)))

    xp, wide = _namespace(quantity, options), _FORMULAS.widened(logits, parameters)
    if quantity.kind in ("value", "gradient", "value_and_gradient", "total"):
        one_more_rounding = wide.dtype != logits.dtype and options.precision == "exact" and quantity.kind != "total"
        value, gradient = evaluate(xp, wide, targets, parameters, narrowed=one_more_rounding)
        if quantity.kind == "value_and_gradient":
            return rounded(value), rounded(normalized(gradient))
        if quantity.kind == "total":
            return rounded(added(value))
        return rounded(value) if quantity.kind == "value" else rounded(normalized(gradient))
    if quantity.kind == "second":
        return rounded(normalized(evaluate_second(xp, wide, targets, parameters)))
    if quantity.kind == "curvature":
        direction = widened(arrays["direction"])
        return rounded(normalized(evaluate_curvature(xp, wide, targets, parameters, direction)))
    if quantity.name == "normalizer":
        total = added(evaluate(xp, wide, targets, parameters).value)
        return rounded(normalized(-total))
    slope = normalized(evaluate_partial(xp, quantity.name, wide, targets, parameters))
    if quantity.kind == "total_partial":
        slope = _summed_to(slope.astype(jnp.float64), arrays[quantity.name].shape)
    return rounded(slope)


def _namespace(quantity: Quantity, options: Options) -> Any:
    """What float64 results need, except where nothing takes the logarithm of less than one and jax.numpy is faster."""
    plain = options.form in ("focal", ROWS) and not quantity.name
    return _ACCURATE if options.dtype == "float64" and not plain else jnp


def _normalizer(arrays: dict[str, Array]) -> Array | None:
    if "normalizer" not in arrays:
        return None
    normalizer = arrays["normalizer"].astype(jnp.float64)
    return jnp.where((normalizer > 0) & jnp.isfinite(normalizer), normalizer, jnp.nan)


def _summed_to(terms: Array, shape: tuple[int, ...]) -> Array:
    """The sum over all axes along which an array of this shape is broadcast."""
    if terms.shape == shape:
        return terms
    if all(length == 1 for length in shape):
        return jnp.reshape(tree_sum(jnp, terms), shape)
    new = terms.ndim - len(shape)
    stretched = [new + axis for axis, length in enumerate(shape) if length != terms.shape[new + axis]]
    return jnp.reshape(jnp.sum(terms, axis=(*range(new), *stretched)), shape)


@partial(jax.jit, static_argnames="times")
def _count(condition: Array, *, times: int) -> Array:
    count = jnp.sum(condition, dtype=jnp.int64) * times
    return jnp.maximum(count, 1).astype(jnp.float64)


def counted(condition: Array, times: int) -> Array:
    """How often a condition holds, times a number, at least 1; in float64, which counts to 2^53."""
    with jax.enable_x64(True):
        return _count(condition, times=times)
