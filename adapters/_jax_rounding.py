"""Conversions of JAX arrays between float64 and narrower formats that keep subnormal numbers and round once.

XLA on the CPU reads and writes subnormal numbers as zeros, and between 16-bit and wider formats it rounds as often as
it converts. Everything here is additions, fixed shifts and selections, which LLVM vectorises.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from focal_ref._rounding import NARROW_FORMATS, NarrowFormat

Array = Any

_SIGN = np.uint32(0x80000000)
_NAN = np.uint32(0x7FC00000)


def widened(array: Array) -> Array:
    """To float64, exactly: a subnormal number is its fraction, an integer, times the smallest of its format.

    Runs and is traced with x64 enabled.
    """
    if array.dtype == jnp.float64:
        return array
    format = NARROW_FORMATS[array.dtype.name]
    unsigned = _unsigned(format)
    bits = jax.lax.bitcast_convert_type(array, unsigned)
    fraction = bits & unsigned((1 << format.fraction_bits) - 1)
    exponent = bits & unsigned((2 * format.bias + 1) << format.fraction_bits)
    negative = bits >> unsigned(format.bits - 1) == 1
    # The low bits of 2^52 count in ones, and there is no instruction that converts integers without AVX-512.
    counted = fraction.astype(jnp.uint64) | _bits(jnp.full((), 2.0**52))
    smallest = 2.0 ** (1 - format.bias - format.fraction_bits)
    subnormal = (jax.lax.bitcast_convert_type(counted, jnp.float64) - 2.0**52) * smallest
    return jnp.where(exponent == 0, jnp.where(negative, -subnormal, subnormal), array.astype(jnp.float64))


def from_bfloat16(array: Array) -> Array:
    """To float32, which begins with the same bits.

    What is converted XLA on the CPU takes to float32 as a whole, ahead of a loop that takes it slice by slice.
    """
    bits = jax.lax.bitcast_convert_type(array, jnp.uint16).astype(jnp.uint32) << 16
    return jax.lax.bitcast_convert_type(bits, jnp.float32)


def narrowed(wide: Array, dtype: Any) -> Array:
    """From float64 or float32 with one rounding, to nearest, ties to even. Runs and is traced with x64 enabled."""
    dtype = jnp.dtype(dtype)
    if dtype == wide.dtype:
        return wide
    if dtype == jnp.float64:
        return widened(wide)
    bits = _bits(wide.astype(jnp.float32))
    if dtype == jnp.float32:
        return jax.lax.bitcast_convert_type(_with_subnormal(bits, bits, wide, dtype) | bits & _SIGN, dtype)
    # A NaN that is larger than the quiet one would carry into the sign.
    magnitude = jnp.minimum(bits & ~_SIGN, _NAN)
    if wide.dtype == jnp.float64:
        magnitude = _to_odd(magnitude, wide)
    if dtype == jnp.float16:
        # The processor converts subnormal numbers of 16 bits as they are.
        return jax.lax.bitcast_convert_type(magnitude | bits & _SIGN, jnp.float32).astype(dtype)
    magnitude = (magnitude + 0x7FFF + ((magnitude >> 16) & 1)) >> 16
    if wide.dtype == jnp.float64:
        magnitude = _with_subnormal(magnitude, bits, wide, dtype)
    return jax.lax.bitcast_convert_type((magnitude | (bits & _SIGN) >> 16).astype(jnp.uint16), dtype)


def _with_subnormal(result: Array, bits: Array, wide: Array, dtype: Any) -> Array:
    """The magnitudes of results, and of subnormal ones, which the processor may have flushed to 0."""
    # They are so many times the smallest number: rounded to an integer by adding 2^52, and read from the fraction of
    # that integer plus 2^23.
    format = NARROW_FORMATS[dtype.name]
    count = (jnp.abs(wide) * 2.0 ** (format.bias - 1 + format.fraction_bits) + 2.0**52) - 2.0**52
    subnormal = _bits((count + 2.0**23).astype(jnp.float32)) - _bits(jnp.full((), 2.0**23, jnp.float32))
    return jnp.where(bits & ~_SIGN == 0, subnormal, result)


def _to_odd(magnitude: Array, wide: Array) -> Array:
    """Float32 bits towards zero, and the last one set where that is inexact: then a second rounding does no harm."""
    nearest = jax.lax.bitcast_convert_type(magnitude, jnp.float32).astype(jnp.float64)
    above, exact = nearest > jnp.abs(wide), nearest == jnp.abs(wide)
    return (magnitude - above.astype(jnp.uint32)) | (~exact).astype(jnp.uint32)


def _bits(array: Array) -> Array:
    return jax.lax.bitcast_convert_type(array, jnp.uint64 if array.dtype == jnp.float64 else jnp.uint32)


def _unsigned(format: NarrowFormat) -> Any:
    return jnp.uint32 if format.bits == 32 else jnp.uint16
