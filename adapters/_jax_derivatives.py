"""Derivative rules of the JAX adapter: the tangent of each quantity is its closed form times the tangents given.

Losses and their sums have first derivatives in all that is no class, their gradients in the logits alone. Everything
else refuses: what is rounded by its bits would otherwise have derivatives of zero, silently. For the same reason this
is a primitive and no `jax.custom_jvp`, whose second rule is lost inside of `jax.lax.scan`.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from focal_ref._evaluate import FORMS
from focal_ref._parameters import ROWS
from focal_ref.adapters._jax_compute import Options, Quantity, compute, result_types
from focal_ref.adapters._jax_multiply import contract, multiply
from focal_ref.adapters._jax_partition import devices_wanted
from focal_ref.adapters._jax_shards import aligned, shaped, spec_of

Array = Any

_quantity: Any = Primitive("focal_ref_quantity")
_quantity.multiple_results = True


def loss(options: Options, logits: Array, arrays: dict[str, Array]) -> Array:
    """Each result, in the logits' dtype."""
    return _bind(Quantity("value", options.dtype), options, {"logits": logits, **arrays})[0]


def total(options: Options, logits: Array, arrays: dict[str, Array]) -> Array:
    """The sum of the unrounded results, in float32 or float64, divided by a normalizer where there is one."""
    return _bind(Quantity("total", _at_least_float32(options.dtype)), options, {"logits": logits, **arrays})[0]


def _bind(quantity: Quantity, options: Options, arrays: dict[str, Array]) -> list[Array]:
    operands = aligned(arrays.values())
    parameters = {"names": tuple(arrays), "mapped": (), "devices": devices_wanted()}
    return [*_quantity.bind(*operands, quantity=quantity, options=options, **parameters)]


def _apply(
    *operands: Array, quantity: Quantity, options: Options, names: tuple[str, ...], mapped: Any, devices: Any
) -> list[Array]:
    """`mapped` has the batch dimensions of the operands for each jax.vmap around the quantity, the inner ones first."""

    def function(*operands: Array) -> tuple[Array, ...]:
        arrays = dict(zip(names, operands, strict=True))
        return compute(quantity, options, arrays.pop("logits"), arrays)

    for dimensions in mapped:
        function = jax.vmap(function, in_axes=dimensions)
    return list(function(*operands))


def _shapes(
    *operands: Any, quantity: Quantity, options: Options, names: tuple[str, ...], mapped: Any, devices: Any
) -> list[Any]:
    axes = {name: [*zip(one.shape, spec_of(one), strict=True)] for name, one in zip(names, operands, strict=True)}
    batch = []
    for dimensions in reversed(mapped):
        mapped_axes = [axes[name].pop(axis) for name, axis in zip(names, dimensions, strict=True) if axis is not None]
        batch.append(next((axis for axis in mapped_axes if axis[1] is not None), mapped_axes[0]))
    shapes = {name: [length for length, _ in own] for name, own in axes.items()}
    like = axes[quantity.name if quantity.kind == "total_partial" else "logits"]
    batch_shape, spec = [length for length, _ in batch], [own for _, own in (*batch, *like)]
    return [
        shaped(operands[0], (*batch_shape, *shape), jnp.dtype(dtype), tuple(spec[: len(batch) + len(shape)]))
        for shape, dtype in result_types(quantity, options, shapes)
    ]


def _batched(
    operands: Any, dimensions: Any, *, quantity: Quantity, mapped: Any, **parameters: Any
) -> tuple[list[Array], list[int]]:
    if quantity.kind == "curvature" and dimensions[-1] is None:
        # Product and direction keep one shape, so that the product stays its own transpose.
        size = next(operand.shape[axis] for operand, axis in zip(operands, dimensions, strict=True) if axis is not None)
        operands = (*operands[:-1], jnp.broadcast_to(operands[-1], (size, *operands[-1].shape)))
        dimensions = (*dimensions[:-1], 0)
    elif quantity.kind == "curvature":
        operands = (*operands[:-1], jnp.moveaxis(operands[-1], dimensions[-1], 0))
        dimensions = (*dimensions[:-1], 0)
    mapped = (*mapped, tuple(dimensions))
    results = _quantity.bind(*operands, quantity=quantity, mapped=mapped, **parameters)
    return results, [0 for _ in results]


def _jvp(
    primals: Any,
    tangents: Any,
    *,
    quantity: Quantity,
    options: Options,
    names: tuple[str, ...],
    mapped: Any,
    devices: Any,
) -> tuple[list[Array], list[Array]]:
    moves = [
        not isinstance(tangent, ad.Zero) and getattr(tangent, "dtype", None) != jax.dtypes.float0
        for tangent in tangents
    ]

    def moving(values: Any) -> list[Any]:
        return [value for value, own in zip(values, moves, strict=True) if own]

    def rule(primals: list[Array], tangents: list[Array]) -> tuple[list[Array], list[Array]]:
        arrays = dict(zip(names, primals, strict=True))
        moved = dict(zip(moving(names), tangents, strict=True))
        parts = _parts(quantity, options)
        if quantity.kind in ("value", "total") and "logits" in moved:
            results = _bind(replace(quantity, kind=f"{quantity.kind}_and_gradient"), options, arrays)
        else:
            results = _bind(quantity, options, arrays)
        terms = [_terms(part, options, arrays, moved, results[-1]) for part in parts]
        rates = [
            sum(own[1:], own[0]) if own else jnp.zeros_like(result) for own, result in zip(terms, results, strict=False)
        ]
        return results[: len(parts)], rates

    for dimensions in mapped:
        rule = jax.vmap(rule, in_axes=([*dimensions], moving(dimensions)))
    return rule(_as_arrays(primals), _as_arrays(moving(tangents)))


def _parts(quantity: Quantity, options: Options) -> list[Quantity]:
    """The quantities of one result each that make up a quantity."""
    first, _, second = quantity.kind.partition("_and_")
    return [replace(quantity, kind=first), *([Quantity(second, options.dtype)] if second else [])]


def _as_arrays(values: Any) -> list[Array]:
    """Python numbers and NumPy arrays, which jax.jvp hands over as they are, in the dtypes that JAX gives them."""
    return [value if isinstance(value, jax.Array) else jnp.asarray(value) for value in values]


def _terms(
    quantity: Quantity, options: Options, arrays: dict[str, Array], tangents: dict[str, Array], gradient: Array
) -> list[Array]:
    """What each moving array adds to the tangent of a quantity; `gradient` is that of its values where it has any."""
    if quantity.kind in ("value", "total"):
        return [_term(quantity, options, arrays, name, tangent, gradient) for name, tangent in tangents.items()]
    if quantity.kind == "curvature" and [*tangents] == ["direction"]:
        return _bind(quantity, options, {**arrays, **tangents})
    if quantity.kind in ("second", "curvature") and "logits" in tangents:
        raise TypeError("logits: got a third derivative; the loss is differentiable twice")
    if quantity.kind != "gradient" or [*tangents] != ["logits"]:
        raise TypeError(_mixed(options, quantity.name or next(name for name in tangents if name != "logits")))
    tangent = tangents["logits"]
    if options.form == ROWS:
        return _bind(Quantity("curvature", options.dtype), options, {**arrays, "direction": tangent})
    (second,) = _bind(Quantity("second", options.dtype), options, arrays)
    return [multiply(second, tangent, options.dtype)]


def _term(
    quantity: Quantity, options: Options, arrays: dict[str, Array], name: str, tangent: Array, gradient: Array
) -> Array:
    """The derivative of each loss, or of their sum, with respect to an array, times its tangent."""
    derivative = gradient
    if name != "logits":
        _check_differentiable(options, name)
        kind = "partial" if quantity.kind == "value" else "total_partial"
        # As many digits as the tangents have, which for 16-bit logits may be more.
        (derivative,) = _bind(Quantity(kind, _at_least_float32(tangent.dtype.name), name), options, arrays)
    if quantity.kind == "total":
        return contract(derivative, tangent, quantity.dtype, axes=derivative.ndim)
    tangent = jnp.broadcast_to(tangent, derivative.shape)
    if options.form == ROWS and name != "weights":
        return contract(derivative, tangent, quantity.dtype, axes=1)
    return multiply(derivative, tangent, quantity.dtype)


def _transposed(cotangents: Any, *operands: Any, **parameters: Any) -> list[Any]:
    """Of a Hessian times a direction, which is the last operand: a Hessian is its own transpose."""
    (cotangent,), (*fixed, direction) = cotangents, operands
    if isinstance(cotangent, ad.Zero):
        return [*(None for _ in fixed), ad.Zero(direction.aval)]
    return [*(None for _ in fixed), *_quantity.bind(*fixed, cotangent, **parameters)]


_quantity.def_impl(_apply)
_quantity.def_abstract_eval(_shapes)
ad.primitive_jvps[_quantity] = _jvp
ad.primitive_transposes[_quantity] = _transposed
batching.primitive_batchers[_quantity] = _batched
mlir.register_lowering(_quantity, mlir.lower_fun(_apply, multiple_results=True))


def _at_least_float32(dtype: str) -> str:
    return "float64" if dtype == "float64" else "float32"


def _check_differentiable(options: Options, name: str) -> None:
    """Raise for targets that are classes although their dtype has tangents."""
    if name != "targets":
        return
    if options.encoding == "signed":
        reason = "signed targets are classes; encode soft ones as numbers from 0 to 1"
    elif options.form in FORMS and "targets" not in FORMS[options.form].partials:
        reason = "this loss is defined for classes alone"
    else:
        return
    raise TypeError(f"targets: got a derivative with respect to targets; {reason}, pass jax.lax.stop_gradient(targets)")


def _mixed(options: Options, name: str) -> str:
    name = "labels" if options.form == ROWS and name == "targets" else name
    return (
        f"{name}: got a second derivative with respect to {name}; second derivatives exist in the logits alone, "
        f"pass jax.lax.stop_gradient({name})"
    )
