"""Floating-point formats: bits, correct rounding, and errors in units in the last place.

Everything here is integer or rational arithmetic. No conversion of a library is trusted: NumPy has
no bfloat16, and a conversion from float64 to bfloat16 that goes through float32 rounds twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import numpy.typing as npt
from mpmath import isnan

__all__ = [
    "FORMATS",
    "Format",
    "InUlps",
    "exact_value",
    "from_bits",
    "from_hex",
    "hex_bits",
    "in_ulps",
    "round_to_format",
    "to_bits",
    "ulp",
]

#: A finite rational, an ``mpmath.mpf`` or a float. mpmath ships no types, hence ``Any``.
Exact = Any


@dataclass(frozen=True)
class Format:
    """A binary floating-point format as IEEE 754 describes one.

    Parameters
    ----------
    name : str
        The name of the dtype in NumPy, or in ml_dtypes for bfloat16.
    bits : int
        Width of the whole encoding.
    precision : int
        Bits of the significand, the implicit one included.
    minimum_exponent, maximum_exponent : int
        Exponents e of the smallest normal number 2**e and of the largest binade [2**e, 2**(e+1)).
    """

    name: str
    bits: int
    precision: int
    minimum_exponent: int
    maximum_exponent: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype whose arrays hold numbers of this format."""
        return np.dtype(ml_dtypes.bfloat16 if self.name == "bfloat16" else self.name)

    @property
    def bits_dtype(self) -> np.dtype[Any]:
        """The unsigned integer dtype of the same width."""
        return np.dtype(f"uint{self.bits}")

    @property
    def minimum_ulp_exponent(self) -> int:
        """Exponent of the smallest subnormal number, which is the smallest possible ulp."""
        return self.minimum_exponent - self.precision + 1

    @property
    def infinity_bits(self) -> int:
        """Bits of positive infinity."""
        exponent_bits = self.bits - self.precision
        return ((1 << exponent_bits) - 1) << (self.precision - 1)

    @property
    def nan_bits(self) -> int:
        """Bits of the one NaN that is ever written: positive, quiet, without payload."""
        return self.infinity_bits | 1 << (self.precision - 2)

    @property
    def sign_bit(self) -> int:
        """The bit that is set in negative numbers, in negative zero too."""
        return 1 << (self.bits - 1)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "float64": Format("float64", 64, 53, -1022, 1023),
        "float32": Format("float32", 32, 24, -126, 127),
        "float16": Format("float16", 16, 11, -14, 15),
        "bfloat16": Format("bfloat16", 16, 8, -126, 127),
    }
)


class InUlps(NamedTuple):
    """An exact number as a multiple of its ulp, carried in an unevaluated sum of two floats."""

    high: float
    low: float
    ulp_exponent: int


def to_bits(array: npt.ArrayLike, format: Format) -> npt.NDArray[Any]:
    """Bits of an array that already has the format's dtype; never converts a number."""
    numbers = np.asarray(array)
    if numbers.dtype != format.dtype:
        raise TypeError(f"array has dtype {numbers.dtype}, expected {format.name}")
    # The view of a zero-dimensional array needs no copy, but a strided one does.
    return np.ascontiguousarray(numbers).view(format.bits_dtype).reshape(numbers.shape)


def from_bits(bits: npt.ArrayLike, format: Format) -> npt.NDArray[Any]:
    """Array of the format's dtype with the given bits."""
    integers = np.asarray(bits, dtype=format.bits_dtype)
    return np.ascontiguousarray(integers).view(format.dtype).reshape(integers.shape)


def hex_bits(value: Exact, format: Format) -> str:
    """Bits as lowercase hexadecimal digits, as many as the format is wide.

    Parameters
    ----------
    value : NumPy scalar of the format's dtype, float, Fraction or mpf
        A NumPy scalar of the format is taken bit by bit; any other number is rounded to nearest.

    Examples
    --------
    >>> hex_bits(1.0, FORMATS["float32"])
    '3f800000'
    """
    if isinstance(value, np.generic) and value.dtype == format.dtype:
        bits = int(to_bits(value, format))
    else:
        bits = round_to_format(value, format)
    return f"{bits:0{format.bits // 4}x}"


def from_hex(text: str, format: Format) -> Any:
    """NumPy scalar of the format from what `hex_bits` wrote."""
    digits = format.bits // 4
    if len(text) != digits or not set(text) <= set("0123456789abcdef"):
        raise ValueError(f"{text!r} is not {digits} lowercase hexadecimal digits ({format.name})")
    return from_bits(int(text, 16), format)[()]


def round_to_format(exact: Exact, format: Format, *, negative_zero: bool = False) -> int:
    """Bits of the number of the format that is nearest, ties to even.

    Subnormal results and overflow to infinity are those of IEEE 754. The sign of a zero result is
    that of the exact number; an exact zero is positive unless it is the float -0.0 or
    `negative_zero` is set (rationals and mpmath have no negative zero).

    Parameters
    ----------
    exact : float, Fraction or mpf
    format : Format
    negative_zero : bool

    Returns
    -------
    int
    """
    negative, significand, exponent = _decompose(exact)
    if significand is None:
        magnitude = format.nan_bits if exponent else format.infinity_bits
    elif significand == 0:
        negative = negative or negative_zero
        magnitude = 0
    else:
        magnitude = _round_magnitude(significand, exponent, format)
    return magnitude | (format.sign_bit if negative else 0)


def exact_value(bits: int, format: Format) -> Fraction:
    """The finite number that the bits stand for."""
    magnitude = bits & ~format.sign_bit
    if magnitude >= format.infinity_bits:
        raise ValueError(f"bits {bits:x} are not a finite {format.name}")
    exponent, fraction = divmod(magnitude, 1 << (format.precision - 1))
    if exponent:
        fraction += 1 << (format.precision - 1)
        exponent -= 1
    number = fraction * _power_of_two(exponent + format.minimum_ulp_exponent)
    return -number if bits & format.sign_bit else number


def ulp(exact: Exact, format: Format) -> Fraction:
    """Unit in the last place of an exact number: 2**(max(e, minimum exponent) - precision + 1).

    e is the exponent of the exact number, not of its rounding, so that the unit of a number just
    below a power of two is the smaller one. It never falls below the smallest subnormal.
    """
    return _power_of_two(_ulp_exponent(exact, format))


def in_ulps(exact: Exact, format: Format) -> InUlps:
    """Exact number over its ulp, as a pair of floats, so that fractions of an ulp are measured.

    The error of a number `got` of the format is
    ``abs((ldexp(got, -ulp_exponent) - high) - low)``: `got` and `high` are at most 53 bits wide
    and close to each other, so their difference is exact, and `low` carries the next 53 bits.
    (ldexp, because 2**1074, the scale of float64's subnormals, is no float.)

    Infinity and NaN come back as ``(exact, 0.0, 0)``.
    """
    negative, significand, exponent = _decompose(exact)
    if significand is None:
        return InUlps(math.nan if exponent else -math.inf if negative else math.inf, 0.0, 0)
    ulp_exponent = _ulp_exponent(exact, format)
    if significand == 0 or _exponent(significand, exponent) < ulp_exponent - 1100:
        return InUlps(-0.0 if negative else 0.0, 0.0, ulp_exponent)
    ratio = significand * _power_of_two(exponent - ulp_exponent)
    high = float(ratio)
    low = float(ratio - Fraction(high))
    return InUlps(-high if negative else high, -low if negative else low, ulp_exponent)


def _power_of_two(exponent: int) -> Fraction:
    return Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)


def _decompose(exact: Exact) -> tuple[bool, Fraction | int | None, int]:
    """Sign, significand and exponent: exact = ±significand * 2**exponent.

    A significand of None is infinity (exponent 0) or NaN (exponent 1). The numbers of mpmath are
    kept in two parts because their exponents can be too large for any fraction: 1e-(10**300).
    """
    if hasattr(exact, "_mpf_"):
        sign, mantissa, exponent, _ = exact._mpf_
        # mpmath writes its special numbers with mantissa 0 and a negative exponent.
        if mantissa == 0 and exponent != 0:
            is_nan = bool(isnan(exact))
            return (not is_nan and bool(exact < 0)), None, int(is_nan)
        return bool(sign), int(mantissa), int(exponent)
    if not isinstance(exact, Fraction | int):
        number = float(exact)
        if not math.isfinite(number):
            return number < 0, None, int(math.isnan(number))
        if number == 0:
            return math.copysign(1.0, number) < 0, 0, 0
        exact = Fraction(number)
    return exact < 0, Fraction(abs(exact)), 0


def _exponent(significand: Fraction | int, exponent: int) -> int:
    """Floor of the binary logarithm of significand * 2**exponent, for a positive significand."""
    if isinstance(significand, int):
        return significand.bit_length() - 1 + exponent
    numerator, denominator = significand.numerator, significand.denominator
    estimate = numerator.bit_length() - denominator.bit_length()
    # The estimate is right or one too large: compare numerator with denominator * 2**estimate.
    if numerator << max(-estimate, 0) < denominator << max(estimate, 0):
        estimate -= 1
    return estimate + exponent


def _ulp_exponent(exact: Exact, format: Format) -> int:
    _, significand, exponent = _decompose(exact)
    if significand is None:
        raise ValueError(f"{exact} has no ulp")
    if significand == 0:
        return format.minimum_ulp_exponent
    binade = max(_exponent(significand, exponent), format.minimum_exponent)
    return binade - format.precision + 1


def _round_magnitude(significand: Fraction | int, exponent: int, format: Format) -> int:
    """Bits of the nearest non-negative number of the format."""
    binade = _exponent(significand, exponent)
    # Cut early what is certainly zero or infinite: its fraction could be astronomically long.
    if binade < format.minimum_ulp_exponent - 1:
        return 0
    if binade > format.maximum_exponent:
        return format.infinity_bits
    binade = max(binade, format.minimum_exponent)
    units = significand * _power_of_two(exponent - (binade - format.precision + 1))
    # round() of a Fraction is to nearest, ties to even: the number of ulps. Encodings of
    # consecutive numbers are consecutive integers, so a carry into the next binade, and from the
    # largest finite number into infinity, comes out right by itself.
    offset = (binade - format.minimum_exponent) << (format.precision - 1)
    return round(units) + offset
