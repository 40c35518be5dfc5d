"""One rounding from float64 to a narrower format, in integer arithmetic.

A library's own cast often rounds twice (float64 to float32 to float16 or bfloat16) or flushes subnormals to zero
(XLA on the CPU). Working on the bits does neither, gives the same bits everywhere, and needs only integer operations
and a selection, so that arrays and kernels share it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NarrowFormat:
    """A binary format narrower than float64.

    Attributes
    ----------
    bits
        Width of the format.
    fraction_bits
        Bits of the stored fraction; the precision is one more.
    bias
        Exponent bias; the smallest normal number is ``2**(1 - bias)``.
    """

    bits: int
    fraction_bits: int
    bias: int


NARROW_FORMATS = {
    "float32": NarrowFormat(bits=32, fraction_bits=23, bias=127),
    "float16": NarrowFormat(bits=16, fraction_bits=10, bias=15),
    "bfloat16": NarrowFormat(bits=16, fraction_bits=7, bias=127),
}


def rounder(
    target: NarrowFormat, where: Callable[..., Any], number: Callable[[int], Any] = int
) -> Callable[[Any], Any]:
    """Build the function that rounds the bits of a float64 to the bits of `target`, to nearest, ties to even.

    Parameters
    ----------
    target
        The format to round to.
    where
        Selection between two int64 values.
    number
        Turns a Python integer into an int64 constant.

    Returns
    -------
    callable
        From int64 (the bits of a float64) to int64 (the bits of the result, in the low `target.bits` bits).
    """
    wide_fraction, wide_bias = 52, 1023
    zero, one = number(0), number(1)
    sign_shift = number(63)
    magnitude_mask = number((1 << 63) - 1)
    fraction_mask = number((1 << wide_fraction) - 1)
    hidden_bit = number(1 << wide_fraction)
    exponent_shift = number(wide_fraction)
    infinity = number(((1 << 11) - 1) << wide_fraction)
    smallest_exponent = number(wide_bias + 1 - target.bias)
    smallest_shift = number(wide_fraction - target.fraction_bits)
    # A shift of two more than the fraction leaves less than half a unit: everything below rounds to zero alike.
    largest_shift = number(wide_fraction + 2)
    fraction_bits = number(target.fraction_bits)
    result_infinity = number((2 * target.bias + 1) << target.fraction_bits)
    result_nan = number(((2 * target.bias + 1) << target.fraction_bits) | (1 << (target.fraction_bits - 1)))
    result_sign = number(target.bits - 1)

    def round_bits(bits: Any) -> Any:
        magnitude = bits & magnitude_mask
        exponent = magnitude >> exponent_shift
        significand = (magnitude & fraction_mask) | hidden_bit
        # Below the smallest normal number the unit in the last place stays the same, so more bits are dropped.
        below = smallest_exponent - exponent
        below = where(below > zero, below, zero)
        shift = smallest_shift + below
        shift = where(shift > largest_shift, largest_shift, shift)
        kept = significand >> shift
        dropped = significand & ((one << shift) - one)
        half = one << (shift - one)
        odd = kept & one
        # Round up above the tie, and on it when the kept part is odd.
        up = where(dropped + odd > half, one, zero)
        # `kept` still has its hidden bit, which adds the last 1 to the exponent field of a normal number; a carry out
        # of the fraction runs into the exponent as it should.
        field = where(below > zero, zero, exponent - smallest_exponent) << fraction_bits
        rounded = field + kept + up
        rounded = where(rounded > result_infinity, result_infinity, rounded)
        rounded = where(magnitude > infinity, result_nan, rounded)
        sign = (bits >> sign_shift) & one
        return rounded | (sign << result_sign)

    return round_bits
