"""Products of JAX arrays with one rounding that keeps subnormal numbers.

XLA on the CPU reads and writes subnormal numbers as zeros, and between 16-bit and 32-bit formats it rounds as often as
it converts. A derivative that went through its multiplication would lose what the closed form took care to give. Hence
primitives of our own: the operands are widened by their bits, multiplied and added in float64, and rounded by their
bits. They are bilinear, and the transpose of either is `multiply`, which is all that differentiation needs to know.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from focal_ref.adapters._jax_rounding import narrowed, widened
from focal_ref.adapters._jax_shards import aligned, divided_alike, shaped, spec_of

Array = Any

_multiply: Any = Primitive("focal_ref_multiply")
_contract: Any = Primitive("focal_ref_contract")


def multiply(coefficient: Array, tangent: Array, dtype: Any) -> Array:
    """The product of two arrays of one shape, rounded once to `dtype`.

    A tangent of zero gives zero, also times an infinite coefficient: what does not move changes nothing.
    """
    operands = aligned((coefficient, divided_alike(tangent, coefficient)))
    return _multiply.bind(*operands, dtype=jnp.dtype(dtype))


def contract(coefficient: Array, tangent: Array, dtype: Any, *, axes: int) -> Array:
    """The sum of `multiply` over so many last axes, rounded once to `dtype`."""
    operands = aligned((coefficient, divided_alike(tangent, coefficient)))
    return _contract.bind(*operands, dtype=jnp.dtype(dtype), axes=axes)


def _product(coefficient: Array, tangent: Array) -> Array:
    left, right = widened(coefficient), widened(tangent)
    return jnp.where((right == 0.0) & (jnp.abs(left) == jnp.inf), 0.0, left) * right


@partial(jax.jit, static_argnames="dtype")
def _products(coefficient: Array, tangent: Array, *, dtype: Any) -> Array:
    return narrowed(_product(coefficient, tangent), dtype)


@partial(jax.jit, static_argnames=("dtype", "axes"))
def _sums(coefficient: Array, tangent: Array, *, dtype: Any, axes: int) -> Array:
    return narrowed(jnp.sum(_product(coefficient, tangent), axis=tuple(range(-axes, 0))), dtype)


def _multiply_in_scope(coefficient: Array, tangent: Array, *, dtype: Any) -> Array:
    with jax.enable_x64(True):
        return _products(coefficient, tangent, dtype=dtype)


def _contract_in_scope(coefficient: Array, tangent: Array, *, dtype: Any, axes: int) -> Array:
    with jax.enable_x64(True):
        return _sums(coefficient, tangent, dtype=dtype, axes=axes)


def _multiply_shape(coefficient: Any, tangent: Any, *, dtype: Any) -> Any:
    return shaped(coefficient, coefficient.shape, dtype, spec_of(coefficient))


def _contract_shape(coefficient: Any, tangent: Any, *, dtype: Any, axes: int) -> Any:
    kept = len(coefficient.shape) - axes
    return shaped(coefficient, coefficient.shape[:kept], dtype, spec_of(coefficient)[:kept])


# In the transposes the cotangent is what is multiplied by a coefficient.
def _multiply_to_left(cotangent: Array, left: Any, right: Array, *, dtype: Any) -> Array:
    return multiply(right, cotangent, left.aval.dtype)


def _multiply_to_right(cotangent: Array, left: Array, right: Any, *, dtype: Any) -> Array:
    return multiply(left, cotangent, right.aval.dtype)


def _contract_to_left(cotangent: Array, left: Any, right: Array, *, dtype: Any, axes: int) -> Array:
    return multiply(right, _spread(cotangent, right, axes), left.aval.dtype)


def _contract_to_right(cotangent: Array, left: Array, right: Any, *, dtype: Any, axes: int) -> Array:
    return multiply(left, _spread(cotangent, left, axes), right.aval.dtype)


def _spread(cotangent: Array, like: Array, axes: int) -> Array:
    return jnp.broadcast_to(jnp.expand_dims(cotangent, tuple(range(-axes, 0))), like.shape)


def _batched(primitive: Any, operands: Any, dimensions: Any, **parameters: Any) -> tuple[Array, int]:
    size = next(
        operand.shape[dimension]
        for operand, dimension in zip(operands, dimensions, strict=True)
        if dimension is not None
    )
    left, right = (
        jnp.broadcast_to(operand, (size, *operand.shape)) if dimension is None else jnp.moveaxis(operand, dimension, 0)
        for operand, dimension in zip(operands, dimensions, strict=True)
    )
    return primitive.bind(left, right, **parameters), 0


for _primitive, _implementation, _shape, _to_left, _to_right in (
    (_multiply, _multiply_in_scope, _multiply_shape, _multiply_to_left, _multiply_to_right),
    (_contract, _contract_in_scope, _contract_shape, _contract_to_left, _contract_to_right),
):
    _primitive.def_impl(_implementation)
    _primitive.def_abstract_eval(_shape)
    ad.defbilinear(_primitive, _to_left, _to_right)
    batching.primitive_batchers[_primitive] = partial(_batched, _primitive)
    mlir.register_lowering(_primitive, mlir.lower_fun(_implementation, multiple_results=False))
