"""Double-double arithmetic with a binary exponent of its own, in pure NumPy.

A *pair* is an unevaluated sum ``high + low`` of two float64 arrays in which ``low`` is at most half
an ulp of ``high``: some 106 bits. The basic operations on pairs are those of Dekker, Knuth and
Joldes, Muller, Popescu (2017); each errs by less than 2^-102 of its result. Nothing here uses a
fused multiply-add, which NumPy does not offer.

`Unrounded` gives every pair an integer exponent, so that neither ``exp(-1e6)`` nor its square nor
its product with 1e300 leaves the range in which a pair has all its bits.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntegerArray: TypeAlias = npt.NDArray[np.int64]
BooleanArray: TypeAlias = npt.NDArray[np.bool_]
Pair: TypeAlias = tuple[FloatArray, FloatArray]


def _constant(hexadecimal: str) -> FloatArray:
    """Return an exact constant as an array of one element, which broadcasts."""
    return np.array([float.fromhex(hexadecimal)])


# log(2) as the sum of three numbers of 53 bits each.
_LOG_2 = (
    _constant("0x1.62e42fefa39efp-1"),
    _constant("0x1.abc9e3b39803fp-56"),
    _constant("0x1.7b57a079a1934p-111"),
)
# 1 / log(2).
_LOG_2_RECIPROCAL = _constant("0x1.71547652b82fep+0")
# 1/n! for n = 8 down to 2, each as a pair.
_RECIPROCAL_FACTORIALS: tuple[Pair, ...] = (
    (_constant("0x1.a01a01a01a01ap-16"), _constant("0x1.a01a01a01a01ap-76")),
    (_constant("0x1.a01a01a01a01ap-13"), _constant("0x1.a01a01a01a01ap-73")),
    (_constant("0x1.6c16c16c16c17p-10"), _constant("-0x1.f49f49f49f49fp-65")),
    (_constant("0x1.1111111111111p-7"), _constant("0x1.1111111111111p-63")),
    (_constant("0x1.5555555555555p-5"), _constant("0x1.5555555555555p-59")),
    (_constant("0x1.5555555555555p-3"), _constant("0x1.5555555555555p-57")),
    (_constant("0x1.0000000000000p-1"), _constant("0x0.0p+0")),
)
# 1/n! for n = 14 down to 9, where float64 is enough.
_SMALL_RECIPROCAL_FACTORIALS = (
    _constant("0x1.93974a8c07c9dp-37"),
    _constant("0x1.6124613a86d09p-33"),
    _constant("0x1.1eed8eff8d898p-29"),
    _constant("0x1.ae64567f544e4p-26"),
    _constant("0x1.27e4fb7789f5cp-22"),
    _constant("0x1.71de3a556c734p-19"),
)
# 2^27 + 1 cuts a float64 into two halves whose products are exact (Dekker, Veltkamp).
_SPLITTER = float.fromhex("0x1.0000002000000p+27")

# `exponential` takes an argument beyond this in magnitude for this: the result is then below
# 2^-(1.4 * 2^40), which no format holds, but is not zero and divides without a special case.
LARGEST_EXPONENTIAL_ARGUMENT = 2.0**40

# A summand below 2^-1000 of the other one, and an argument of exp below 2^-1000, count as just this
# small. That is far outside the 106 bits of the result; only their sign is of use: it says on which
# side of a number the result lies (see `directed_product`).
_NEGLIGIBLE_EXPONENT = -1000


def two_sum(left: FloatArray, right: FloatArray) -> Pair:
    """Return ``left + right`` and its rounding error."""
    total = left + right
    right_part = total - left
    return total, (left - (total - right_part)) + (right - right_part)


def fast_two_sum(larger: FloatArray, smaller: FloatArray) -> Pair:
    """Return the sum and its rounding error, given that ``larger`` is not the smaller one."""
    total = larger + smaller
    return total, smaller - (total - larger)


def _halves(number: FloatArray) -> Pair:
    shifted = _SPLITTER * number
    upper = shifted - (shifted - number)
    return upper, number - upper


def two_product(left: FloatArray, right: FloatArray) -> Pair:
    """Return ``left * right`` and its rounding error."""
    product = left * right
    left_upper, left_lower = _halves(left)
    right_upper, right_lower = _halves(right)
    error = left_upper * right_upper - product
    error += left_upper * right_lower
    error += left_lower * right_upper
    error += left_lower * right_lower
    return product, error


def add(left: Pair, right: Pair) -> Pair:
    """Add two pairs; the relative error is bounded for summands of opposite signs, too."""
    high, high_error = two_sum(left[0], right[0])
    low, low_error = two_sum(left[1], right[1])
    high, high_error = fast_two_sum(high, high_error + low)
    return fast_two_sum(high, high_error + low_error)


def multiply(left: Pair, right: Pair) -> Pair:
    """Multiply two pairs."""
    product, error = two_product(left[0], right[0])
    error += left[0] * right[1] + left[1] * right[0]
    return fast_two_sum(product, error)


def divide(numerator: Pair, denominator: Pair) -> Pair:
    """Divide two pairs: one float64 quotient, and the quotient of the exact remainder."""
    quotient = numerator[0] / denominator[0]
    product, error = two_product(quotient, denominator[0])
    remainder = (numerator[0] - product) - error
    remainder += numerator[1] - quotient * denominator[1]
    return fast_two_sum(quotient, remainder / denominator[0])


def _power_of_two(exponent: IntegerArray) -> FloatArray:
    """Return 2^exponent for exponents of normal float64 numbers, by writing the exponent field."""
    return ((exponent + 1023) << 52).view(np.float64)


def _expm1(argument: Pair) -> Pair:
    """Return exp(argument) - 1, with a small relative error, for ``|argument| <= 0.7``."""
    # With r = argument / 32 the Taylor series up to r^14 / 14! is good to 2^-116 of its value.
    # From r^9 on its terms are below 2^-58 of the value, so that float64 carries them.
    # expm1(2r) = 2 expm1(r) + expm1(r)^2 leads back, and keeps the relative error also near 0.
    reduced = (argument[0] * 2.0**-5, argument[1] * 2.0**-5)
    tail = np.zeros_like(reduced[0])
    for coefficient in _SMALL_RECIPROCAL_FACTORIALS:
        tail = tail * reduced[0] + coefficient
    series: Pair = (tail, np.zeros_like(tail))
    for coefficient_pair in _RECIPROCAL_FACTORIALS:
        series = add(multiply(series, reduced), coefficient_pair)
    result = add(reduced, multiply(series, multiply(reduced, reduced)))
    for _ in range(5):
        result = add((2.0 * result[0], 2.0 * result[1]), multiply(result, result))
    return result


@dataclass(frozen=True, slots=True, eq=False)
class Unrounded:
    """Real numbers ``(high + low) * 2**exponent``, elementwise.

    Sums, differences, products and quotients of finite numbers err by less than 2^-102 of the
    result (a sum of opposite signs: of the exact sum of the operands as they are).

    Attributes
    ----------
    high, low
        float64 arrays; ``low`` is at most half an ulp of ``high``. An infinity or NaN sits in
        ``high``, with ``low`` and ``exponent`` 0.
    exponent
        int64 array; 0 where the number is 0.
    """

    high: FloatArray
    low: FloatArray
    exponent: IntegerArray

    @classmethod
    def from_float64(cls, numbers: FloatArray) -> "Unrounded":
        """Take finite float64 numbers, subnormal ones included, as they are."""
        fraction, exponent = np.frexp(numbers)
        return cls(fraction, np.zeros_like(fraction), exponent.astype(np.int64))

    @classmethod
    def from_pair(cls, pair: Pair) -> "Unrounded":
        """Take a pair whose ``high`` is zero or lies between 2^-1000 and 2^1000 in magnitude."""
        return cls._normalized(pair, np.int64(0))

    @classmethod
    def _normalized(cls, pair: Pair, exponent: IntegerArray | np.int64) -> "Unrounded":
        """Bring ``high`` to [1/2, 1) in magnitude; reads its exponent field, so no subnormals."""
        high, low = pair
        shift = ((high.view(np.int64) >> 52) & 0x7FF) - 1022
        factor = _power_of_two(-shift)
        exponent = np.where(high == 0.0, 0, exponent + shift)
        return cls(high * factor, low * factor, exponent)

    def __neg__(self) -> "Unrounded":
        return Unrounded(-self.high, -self.low, self.exponent)

    def __abs__(self) -> "Unrounded":
        return where(self.high < 0.0, -self, self)

    def __add__(self, other: "Unrounded") -> "Unrounded":
        # A zero has no exponent: it must not make the other summand look negligible.
        own = np.where(self.high == 0.0, other.exponent, self.exponent)
        others = np.where(other.high == 0.0, own, other.exponent)
        exponent = np.maximum(own, others)
        own_factor = _power_of_two(np.maximum(own - exponent, _NEGLIGIBLE_EXPONENT))
        other_factor = _power_of_two(np.maximum(others - exponent, _NEGLIGIBLE_EXPONENT))
        total = add(
            (self.high * own_factor, self.low * own_factor),
            (other.high * other_factor, other.low * other_factor),
        )
        return self._normalized(total, exponent)

    def __sub__(self, other: "Unrounded") -> "Unrounded":
        return self + -other

    def __mul__(self, other: "Unrounded") -> "Unrounded":
        # Not normalised: a product of fractions in [1/2, 1) loses one bit of range, and the next
        # sum normalises.
        product = multiply((self.high, self.low), (other.high, other.low))
        return Unrounded(*product, self.exponent + other.exponent)

    def __truediv__(self, other: "Unrounded") -> "Unrounded":
        quotient = divide((self.high, self.low), (other.high, other.low))
        return Unrounded(*quotient, self.exponent - other.exponent)

    def _canonical(self) -> tuple[FloatArray, FloatArray, IntegerArray]:
        """Return the same numbers with ``high`` = float64 nearest to high + low, in [1/2, 1)."""
        finite = np.isfinite(self.high)
        high, low = fast_two_sum(self.high, np.where(finite, self.low, 0.0))
        high = np.where(high == 0.0, self.high, high)  # the sum of -0.0 and 0.0 has lost the sign
        fraction, shift = np.frexp(high)
        low = np.ldexp(np.where(finite, low, 0.0), -shift)
        exponent = np.where(finite & (high != 0.0), self.exponent + shift, 0)
        return fraction, low, exponent

    def rounded(self) -> FloatArray:
        """Round to float64 once, to nearest even; subnormal results included.

        Returns
        -------
        FloatArray
            Of the same shape. Beyond the largest float64 it holds an infinity, below half the
            smallest subnormal a zero with the sign of the number.
        """
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            high, low, exponent = self._canonical()
            # All of these go to zero or to infinity all the same.
            exponent_32 = np.clip(exponent, -1200, 1100).astype(np.int32)
            nearest: FloatArray = np.ldexp(high, exponent_32)
            # For a normal result, scaling is exact and `high` was the one rounding. A subnormal
            # result was rounded twice, which differs from once only if `high` is exactly half way
            # between two subnormals and `low` is not zero: then `low` decides, not evenness.
            remainder = high - np.ldexp(nearest, -exponent_32)
            half_way = np.abs(remainder) == np.ldexp(1.0, -1075 - exponent_32)
            wrong_side = half_way & (np.sign(remainder) * np.sign(low) > 0.0)
            beyond = np.copysign(np.inf, remainder)
            return np.where(wrong_side, np.nextafter(nearest, beyond), nearest)

    def unit_exponent(self, minimum_exponent: int, precision: int) -> IntegerArray:
        """Return the binary exponent of the unit in the last place (ulp) in a given format.

        Parameters
        ----------
        minimum_exponent
            Exponent of the format's smallest normal number: -1022 for float64, -126 for float32
            and bfloat16, -14 for float16.
        precision
            Bits of the significand, the leading one included: 53, 24, 8, 11.

        Returns
        -------
        IntegerArray
            ``max(e, minimum_exponent) - precision + 1`` for numbers in [2^e, 2^(e+1)); for 0 and
            for what is not finite as if e were ``minimum_exponent``.
        """
        with np.errstate(under="ignore", invalid="ignore"):
            high, low, exponent = self._canonical()
        # Just below a power of two, `high` is that power.
        below_power = (np.abs(high) == 0.5) & (np.sign(high) * np.sign(low) < 0.0)
        leading = exponent - 1 - below_power
        ordinary = np.isfinite(high) & (high != 0.0)
        leading = np.where(ordinary, np.maximum(leading, minimum_exponent), minimum_exponent)
        return leading - precision + 1

    def in_units(self, unit_exponent: IntegerArray) -> Pair:
        """Return the numbers divided by ``2**unit_exponent`` as an unevaluated float64 pair.

        The error of a float64 array ``got`` in these units is
        ``abs((np.ldexp(got, -unit_exponent) - high) - low)``.
        """
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            high, low, exponent = self._canonical()
            shift = np.clip(exponent - unit_exponent, -2200, 2200).astype(np.int32)
            return np.ldexp(high, shift), np.ldexp(low, shift)

    def in_units_of_last_place(self, minimum_exponent: int, precision: int) -> Pair:
        """Return the numbers divided by their own ulp in a given format.

        Parameters are those of `unit_exponent`, which also tells what the division was by.
        """
        return self.in_units(self.unit_exponent(minimum_exponent, precision))


ONE = Unrounded(np.array([0.5]), np.array([0.0]), np.array([1]))
TWO = Unrounded(np.array([0.5]), np.array([0.0]), np.array([2]))
_HALF = Unrounded(np.array([0.5]), np.array([0.0]), np.array([0]))


def where(condition: BooleanArray, first: Unrounded, second: Unrounded) -> Unrounded:
    """Choose elementwise, as `numpy.where`."""
    return Unrounded(
        np.where(condition, first.high, second.high),
        np.where(condition, first.low, second.low),
        np.where(condition, first.exponent, second.exponent),
    )


def directed_product(factor: Unrounded, number: Unrounded) -> Unrounded:
    """Multiply so that the result lies on the right side of a tie between two float64 numbers.

    A saturated loss is an exact number with some exp(-|x|) more or less: 0.75 * 1000.1 plus
    1e-432, say. The exact part is often half way between two float64 numbers (0.75 times an odd
    significand is, one time in four), and then the rest must decide the rounding. A plain product
    drops a rest below 2^-107; this one rounds ``low`` to odd: of the two float64 numbers around the
    exact one it takes that with an odd last bit, which cannot complete a tie.

    Parameters
    ----------
    factor
        An exact pair, such as 1 - alpha.
    number
        Its ``low`` may be as far below ``high`` as it likes: it holds the rest.
    """
    product, error = two_product(factor.high, number.high)
    low, residual = two_sum(error, factor.low * number.high)
    low, residual = two_sum(low, residual + factor.high * number.low)
    odd = (residual == 0.0) | ((low.view(np.int64) & 1) == 1)
    towards = np.nextafter(low, np.copysign(np.inf, residual))
    result = fast_two_sum(product, np.where(odd, low, towards))
    return Unrounded(*result, factor.exponent + number.exponent)


def exponential(argument: Unrounded) -> Unrounded:
    """Return exp(argument), with the argument limited to +-`LARGEST_EXPONENTIAL_ARGUMENT`.

    The relative error is below 2^-100 plus 2^-104 times the argument's magnitude.
    """
    factor = _power_of_two(np.clip(argument.exponent, _NEGLIGIBLE_EXPONENT, 1000))
    high, low = argument.high * factor, argument.low * factor
    limited = np.abs(high) > LARGEST_EXPONENTIAL_ARGUMENT
    high = np.where(limited, np.copysign(LARGEST_EXPONENTIAL_ARGUMENT, high), high)
    low = np.where(limited, 0.0, low)
    # exp(a) = 2^k exp(a - k log 2) with k the nearest integer to a / log 2, of up to 41 bits:
    # log 2 needs 41 bits more than the result is to have.
    octaves = np.rint(high * _LOG_2_RECIPROCAL)
    first, first_error = two_product(octaves, _LOG_2[0])
    second, second_error = two_product(octaves, _LOG_2[1])
    reduced = add((high, low), (-first, -first_error))
    reduced = add(reduced, (-second, -(second_error + octaves * _LOG_2[2])))
    fraction = add(_expm1(reduced), (np.ones_like(high), np.zeros_like(high)))
    return Unrounded(*fraction, octaves.astype(np.int64))


def log1p(argument: Unrounded) -> Unrounded:
    """Return log(1 + argument) for ``argument >= 0``, with a relative error below 2^-100."""
    # 1 + z = 2^n (1 + f) with 0 <= f < 1. Where n = 0, f is z itself, whose small bits the sum
    # would have rounded away.
    total = ONE + argument
    octaves = total.exponent - 1
    factor = _power_of_two(np.clip(argument.exponent, _NEGLIGIBLE_EXPONENT, 1))
    scaled = two_sum(2.0 * total.high - 1.0, 2.0 * total.low)
    fraction = (
        np.where(octaves == 0, argument.high * factor, scaled[0]),
        np.where(octaves == 0, argument.low * factor, scaled[1]),
    )
    # One Newton step from the float64 logarithm y: log(1 + f) = y + log(1 + r) with
    # 1 + r = (1 + f) exp(-y), that is r = f + m + f m with m = expm1(-y). As |r| < 2^-50 f,
    # log(1 + r) = r - r^2 / 2 to 2^-150 of f, and float64 is enough for the square.
    guess = np.log1p(fraction[0])
    decay = _expm1((-guess, np.zeros_like(guess)))
    residual = add(add(fraction, decay), multiply(fraction, decay))
    residual = fast_two_sum(residual[0], residual[1] - 0.5 * residual[0] * residual[0])
    logarithm = add((guess, np.zeros_like(guess)), residual)
    count = octaves.astype(np.float64)
    octaves_part = multiply((count, np.zeros_like(count)), (_LOG_2[0], _LOG_2[1]))
    ordinary = Unrounded._normalized(add(octaves_part, logarithm), np.int64(0))
    # For z < 2^-64, z - z^2 / 2 is log(1 + z) to 2^-128 of it, however small z is.
    tiny = argument * (ONE - _HALF * argument)
    return where(argument.exponent < -64, tiny, ordinary)
