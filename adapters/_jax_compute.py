"""The numbers behind the JAX adapter: one fused computation a quantity, in float64 inside a local x64 scope.

Nothing here has a derivative of its own: results are rounded by their bits, which automatic differentiation takes for
constants. `focal_ref.adapters._jax_derivatives` gives each the rule that belongs to it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from focal_ref._evaluate import evaluate, evaluate_curvature, evaluate_partial, evaluate_second, tree_sum
from focal_ref._formulas import SPECIAL_EXPONENTS
from focal_ref._parameters import BACKGROUND, NUMBERS, ROWS, Parameters, Precision
from focal_ref.adapters._array_api import ArrayApiAdapter
from focal_ref.adapters._jax_blocks import Blocks, blocks_of, in_blocks
from focal_ref.adapters._jax_functions import Accurate, Vectorized
from focal_ref.adapters._jax_partition import Axes, Part, in_parts
from focal_ref.adapters._jax_rounding import from_bfloat16, narrowed, widened
from focal_ref.adapters._jax_shards import with_automatic_axes

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
        arrays) of each result; "total", the sum of the values; "total_and_gradient"; "partial" of each result with
        respect to `name`, or "total_partial", of the sum.
    dtype
        What it is rounded to; a gradient beside it, to the dtype of the logits.
    name
        Of one of the arrays.
    """

    kind: str
    dtype: str
    name: str = ""


_ACCURATE, _VECTORIZED = Accurate(), Vectorized()

_PAIRS = ("value_and_gradient", "total_and_gradient")
_FIRST = ("value", "gradient", "total", *_PAIRS)

_BLOCK, _ROWS_BLOCK = 32768, 8192
"""Elements of a block: some hundred kilobytes in between, which the caches hold; the rows of a softmax need more."""


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
        if parameters.form == "probability":
            return widened(logits)
        return super().widened(from_bfloat16(logits) if logits.dtype == jnp.bfloat16 else logits, parameters)

    def narrowed(self, wide: Array, dtype: str) -> Array:
        return narrowed(wide, dtype)


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


def compute(quantity: Quantity, options: Options, logits: Array, arrays: dict[str, Array]) -> tuple[Array, ...]:
    """The results of a quantity, with numbers as float64 scalars: a new alpha or gamma compiles nothing anew.

    Only the exponents for which the paper's loss has closed forms of their own stay constants.
    """
    kept = tuple(
        (name, value)
        for name, value in options.numbers
        if options.form == "focal" and name == "gamma" and value in SPECIAL_EXPONENTS
    )
    with jax.enable_x64(True):
        scalars = {name: np.float64(value) for name, value in options.numbers if (name, value) not in kept}
        static = (quantity, replace(options, numbers=kept))
        shapes = {name: np.shape(array) for name, array in {"logits": logits, **arrays}.items()}
        ranks = tuple(len(shape) for shape, _ in result_types(quantity, options, shapes))
        like = quantity.name if quantity.kind == "total_partial" else "logits"
        results: tuple[Array, ...] = with_automatic_axes(_compiled, static, ranks, like, logits, {**scalars, **arrays})
    return results


@partial(jax.jit, static_argnums=(0, 1))
def _compiled(quantity: Quantity, options: Options, logits: Array, arrays: dict[str, Array]) -> tuple[Array, ...]:
    """The results of a quantity; runs and is traced with x64 enabled."""
    terms = _Terms(quantity, options, arrays)
    elements = _Elements(quantity, options, ("logits", *arrays))
    # What has one result an element XLA computes in one pass, and divides among devices by itself.
    one_pass = not (any(terms.added) or len(terms.added) > 1 or _has_rows(quantity, options))
    results = (elements if one_pass else partial(in_parts, elements))(logits, *arrays.values())
    return tuple(terms.total(result) if add else result for result, add in zip(results, terms.added, strict=True))


@dataclass(frozen=True)
class _Elements:
    """The results of elements and unrounded sums of them, as work of which each device of a mesh can do a part.

    Attributes
    ----------
    quantity, options
        What is computed.
    names
        Of the operands, the first of which are the logits.
    """

    quantity: Quantity
    options: Options
    names: tuple[str, ...]

    def __call__(self, *operands: Array) -> tuple[Array, ...]:
        logits, arrays = operands[0], dict(zip(self.names[1:], operands[1:], strict=True))
        terms = _Terms(self.quantity, self.options, arrays)
        names = [name for name, array in arrays.items() if array.ndim]

        def evaluated(logits: Array, *given: Array) -> tuple[Array, ...]:
            return terms.evaluated(logits, dict(zip(names, given, strict=True)))

        def whole(summed: Callable[[Array], Array]) -> tuple[Array, ...]:
            results = evaluated(logits, *(arrays[name] for name in names))
            return tuple(summed(one) if add else one for one, add in zip(results, terms.added, strict=True))

        aligned = [logits, *(_aligned(name, arrays[name], logits, self.options) for name in names)]
        blocks = _blocks(terms, aligned)
        if blocks is None:
            return whole(partial(tree_sum, jnp))
        # A GPU has no use for blocks: what is added up is computed within XLA's sum, and nowhere written.
        results: tuple[Array, ...] = jax.lax.platform_dependent(
            cpu=lambda: in_blocks(evaluated, aligned, blocks, terms.added), default=lambda: whole(jnp.sum)
        )
        return results

    @property
    def added(self) -> tuple[bool, ...]:
        pair = self.quantity.kind.endswith("_and_gradient")
        total = self.quantity.kind.startswith("total")
        return (total, False) if pair else (total,)

    @property
    def whole_rows(self) -> bool:
        return self.options.form == ROWS

    def axes(self, shapes: Sequence[tuple[int, ...]]) -> tuple[list[Axes], list[Axes]]:
        logits = shapes[0]
        places = [self._places(name, logits) for name in self.names]
        results = [shape for shape, _ in self.types(shapes)]
        places += [tuple(range(len(shape))) for shape in results]
        found = [
            tuple(
                axis if length == logits[axis] and length > 1 else None
                for axis, length in zip(own[len(own) - len(shape) :], shape, strict=True)
            )
            for own, shape in zip(places, [*shapes, *results], strict=True)
        ]
        return found[: len(shapes)], found[len(shapes) :]

    def _places(self, name: str, logits: tuple[int, ...]) -> tuple[int, ...]:
        """The axes of the logits to the last ones of which an operand is broadcast."""
        of_results = self.options.form == ROWS and name == "weights"
        of_labels = self.options.encoding == "labels" and name == "targets"
        return tuple(range(len(logits) - (of_results or of_labels)))

    def types(self, shapes: Sequence[tuple[int, ...]]) -> list[tuple[tuple[int, ...], Any]]:
        found = result_types(self.quantity, self.options, dict(zip(self.names, shapes, strict=True)))
        return [
            ((), jnp.dtype("float64")) if add else (shape, jnp.dtype(dtype))
            for (shape, dtype), add in zip(found, self.added, strict=True)
        ]

    def of_part(self, operands: Sequence[Array], parts: dict[int, Part]) -> Sequence[Array]:
        if self.options.encoding != "labels" or self.options.form == ROWS:
            return operands
        named = dict(zip(self.names, operands, strict=True))
        axis = parts.get(named["logits"].ndim - 1)
        if axis is not None:
            named["targets"] = _labels_of_part(named["targets"], axis, named["logits"].shape[-1])
        return list(named.values())


class _Terms:
    """What a quantity is made of: results of each element, some of which are then added up."""

    def __init__(self, quantity: Quantity, options: Options, arrays: dict[str, Array]) -> None:
        self.quantity = quantity
        self.options = options
        self.arrays = arrays
        self.normalizer = _normalizer(arrays)
        partial_of_one = quantity.kind == "total_partial" and math.prod(arrays[quantity.name].shape) == 1
        total = quantity.kind in ("total", "total_and_gradient") or partial_of_one
        self.added = (total, False) if quantity.kind.endswith("_and_gradient") else (total,)

    def evaluated(self, logits: Array, given: dict[str, Array]) -> tuple[Array, ...]:
        """The results of some elements; those to be added are float64, the others rounded."""
        quantity, options = self.quantity, self.options
        arrays: dict[str, Any] = {**dict(options.numbers), **self.arrays, **given}
        parameters = Parameters(
            **{name: arrays.get(name) for name in (*NUMBERS, "weights")},
            encoding=options.encoding,
            precision=options.precision,
            form=options.form,
            clip=arrays.get("clip", 0.0),
        )
        targets, xp, wide = arrays["targets"], _namespace(quantity, options), _FORMULAS.widened(logits, parameters)
        if quantity.kind in _FIRST or quantity.name == "normalizer":
            one_more_rounding = wide.dtype != logits.dtype and options.precision == "exact" and not self.added[0]
            value, gradient = evaluate(xp, wide, targets, parameters, narrowed=one_more_rounding)
            value = value.astype(jnp.float64) if self.added[0] else _FORMULAS.narrowed(value, quantity.dtype)
            slope = _FORMULAS.narrowed(self.normalized(gradient), options.dtype)
            return {"gradient": (slope,), **dict.fromkeys(_PAIRS, (value, slope))}.get(quantity.kind, (value,))
        if quantity.kind == "second":
            result = self.normalized(evaluate_second(xp, wide, targets, parameters))
        elif quantity.kind == "curvature":
            direction = widened(arrays["direction"])
            result = self.normalized(evaluate_curvature(xp, wide, targets, parameters, direction))
        else:
            result = self.normalized(evaluate_partial(xp, quantity.name, wide, targets, parameters))
            if quantity.kind == "total_partial":
                result = result.astype(jnp.float64)
                if self.added[0]:
                    return (result,)
                result = _summed_to(result, arrays[quantity.name].shape)
        return (_FORMULAS.narrowed(result, quantity.dtype),)

    def total(self, total: Array) -> Array:
        """A sum of terms as the result that it is for."""
        if self.quantity.kind != "total_partial":
            total = self.normalized(total)
        elif self.quantity.name == "normalizer":
            total = self.normalized(self.normalized(-total))
        else:
            total = jnp.reshape(total, self.arrays[self.quantity.name].shape)
        return _FORMULAS.narrowed(total, self.quantity.dtype)

    def normalized(self, wide: Array) -> Array:
        return wide if self.normalizer is None else wide.astype(jnp.float64) / self.normalizer


def _labels_of_part(labels: Array, part: Part, length: int) -> Array:
    """Labels as a device sees them that has so many of the classes: those of the others are background."""
    begin, classes = part
    labels = labels.astype(jnp.int64)
    own = (labels >= begin) & (labels < begin + length)
    known = jnp.where(own, labels - begin, BACKGROUND)
    # What is no class stays none.
    return jnp.where(labels < 0, labels, jnp.where(labels < classes, known, length))


def _has_rows(quantity: Quantity, options: Options) -> bool:
    """Whether results need sums over the classes."""
    return options.form == ROWS and quantity.kind != "total_partial"


def result_types(
    quantity: Quantity, options: Options, shapes: Mapping[str, Sequence[int]]
) -> list[tuple[tuple[int, ...], str]]:
    """Shapes and dtypes of the results of a quantity, of operands by name."""
    logits = tuple(shapes["logits"])
    own: dict[str, tuple[int, ...]] = {"value": logits, "gradient": logits, "total": ()}
    if options.form == ROWS:
        own["value"] = logits[:-1]
    if quantity.kind == "total_partial":
        return [(tuple(shapes[quantity.name]), quantity.dtype)]
    if options.form == ROWS and quantity.name == "weights":
        return [(own["value"], quantity.dtype)]
    first, _, second = quantity.kind.partition("_and_")
    results = [(own.get(first, logits), quantity.dtype)]
    return results + ([(own[second], options.dtype)] if second else [])


def _aligned(name: str, array: Array, logits: Array, options: Options) -> Array:
    """The array with as many axes as the logits, or as the results that it belongs to."""
    if name == "targets" and options.encoding == "labels":
        return array
    rank = logits.ndim - (options.form == ROWS and name == "weights")
    return jnp.reshape(array, (*(1 for _ in range(rank - array.ndim)), *array.shape))


def _blocks(terms: _Terms, operands: list[Array]) -> Blocks | None:
    """How to divide the arrays, or None where one fused computation needs nothing in between."""
    quantity, options = terms.quantity, terms.options
    rows = options.form == ROWS
    if not (any(terms.added) or len(terms.added) > 1 or _has_rows(quantity, options)):
        return None
    logits = operands[0]
    outer = logits.shape[:-1] if rows or options.encoding == "labels" else logits.shape
    return blocks_of(operands, outer, _ROWS_BLOCK if rows else _BLOCK)


def _namespace(quantity: Quantity, options: Options) -> Any:
    """The functions that a quantity needs."""
    if options.form == "focal" and quantity.name in ("", "normalizer"):
        return _VECTORIZED
    # Rows take the logarithm of less than one in their partial derivatives alone.
    plain = options.dtype != "float64" or (options.form == ROWS and not quantity.name)
    return jnp if plain else _ACCURATE


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
    # XLA writes the terms to memory: as narrow as their sum allows.
    counter = jnp.int32 if condition.size < 2**31 else jnp.int64
    count = jnp.sum(condition, dtype=counter).astype(jnp.int64) * times
    return jnp.maximum(count, 1).astype(jnp.float64)


def counted(condition: Array, times: int) -> Array:
    """How often a condition holds, times a number, at least 1; in float64, which counts to 2^53."""
    with jax.enable_x64(True):
        return _count(condition, times=times)
