"""A product of JAX arrays with one rounding that keeps subnormal numbers.

XLA on the CPU reads and writes subnormal numbers as zeros, and between 16-bit and 32-bit formats it rounds as often as
it converts. A derivative that went through its multiplication would lose what the closed form took care to give. Hence
a primitive of our own: the operands are widened by their bits, multiplied in float64, and rounded by their bits. It is
bilinear and elementwise, which is all that differentiation and batching need to know.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from focal_ref._rounding import NARROW_FORMATS, rounder

Array = Any

_multiply = Primitive("focal_ref_multiply")


def multiply(left: Array, right: Array, dtype: Any) -> Array:
    """The product of two arrays of one shape, rounded once to `dtype`."""
    return _multiply.bind(left, right, dtype=jnp.dtype(dtype))


@partial(jax.jit, static_argnames="dtype")
def _product(left: Array, right: Array, *, dtype: Any) -> Array:
    product = _widened(left) * _widened(right)
    if dtype == jnp.float64:
        return product
    rounded = rounder(NARROW_FORMATS[dtype.name], jnp.where)(jax.lax.bitcast_convert_type(product, jnp.int64))
    unsigned = jnp.uint32 if dtype == jnp.float32 else jnp.uint16
    return jax.lax.bitcast_convert_type(rounded.astype(unsigned), dtype)


def _widened(array: Array) -> Array:
    """To float64, exactly: a subnormal number is its fraction, an integer, times the smallest of its format."""
    if array.dtype == jnp.float64:
        return array
    format = NARROW_FORMATS[array.dtype.name]
    unsigned = jnp.uint32 if format.bits == 32 else jnp.uint16
    bits = jax.lax.bitcast_convert_type(array, unsigned).astype(jnp.int64)
    fraction = bits & ((1 << format.fraction_bits) - 1)
    exponent = (bits >> format.fraction_bits) & (2 * format.bias + 1)
    smallest = 2.0 ** (1 - format.bias - format.fraction_bits)
    subnormal = fraction.astype(jnp.float64) * jnp.where(bits >> (format.bits - 1) == 1, -smallest, smallest)
    return jnp.where(exponent == 0, subnormal, array.astype(jnp.float64))


def _in_scope(left: Array, right: Array, *, dtype: Any) -> Array:
    with jax.enable_x64(True):
        return _product(left, right, dtype=dtype)


def _shape(left: Any, right: Any, *, dtype: Any) -> Any:
    return jax.core.ShapedArray(left.shape, dtype)


def _to_left(cotangent: Array, left: Any, right: Array, *, dtype: Any) -> Array:
    return multiply(cotangent, right, left.aval.dtype)


def _to_right(cotangent: Array, left: Array, right: Any, *, dtype: Any) -> Array:
    return multiply(cotangent, left, right.aval.dtype)


def _batched(operands: Any, dimensions: Any, *, dtype: Any) -> tuple[Array, int]:
    size = next(
        operand.shape[dimension]
        for operand, dimension in zip(operands, dimensions, strict=True)
        if dimension is not None
    )
    left, right = (
        jnp.broadcast_to(operand, (size, *operand.shape)) if dimension is None else jnp.moveaxis(operand, dimension, 0)
        for operand, dimension in zip(operands, dimensions, strict=True)
    )
    return multiply(left, right, dtype), 0


_multiply.def_impl(_in_scope)
_multiply.def_abstract_eval(_shape)
ad.defbilinear(_multiply, _to_left, _to_right)
batching.primitive_batchers[_multiply] = _batched
mlir.register_lowering(_multiply, mlir.lower_fun(_in_scope, multiple_results=False))
