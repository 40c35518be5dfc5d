"""Numbers to 60 digits out of numeric evaluations: agreement of precisions, and limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from mpmath import mp

__all__ = ["GUARD_BITS", "RESULT_BITS", "bits_of", "bits_of_exp", "decays", "exact", "limit_of", "until_stable"]

#: An ``mpmath.mpf``; mpmath ships no types.
Number = Any

RESULT_BITS = 210  # 63 digits
GUARD_BITS = 40

#: What is smaller than 2**-1400 is a zero in every format, and no part of a ulp.
_ZERO_EXPONENT = -1400


def exact(number: float | Fraction) -> Number:
    """A float exactly, or a fraction to the current precision."""
    fraction = Fraction(number)
    return mp.mpf(fraction.numerator) / fraction.denominator


def bits_of(number: float | Fraction) -> int:
    """Bits by which a factor 1 + number enlarges a relative error."""
    return math.ceil(number).bit_length() + 1


def bits_of_exp(x: float | Fraction) -> int:
    """Bits that 1 - p cancels when it is exp(-|x|)."""
    return math.ceil(abs(Fraction(x)) * Fraction(1443, 1000)) + 2  # 1 / log 2 = 1.4427


def until_stable(evaluate: Callable[[], Number], precision: int) -> Number:
    """Evaluate with growing precision until two results agree to more than 60 digits.

    Zero, or what never becomes stable and falls below 2**-1400 with the precision, is zero: differences of a function
    that is constant, and sums that are symmetric.
    """
    previous = None
    grown = precision
    for attempt in range(10):
        with mp.workprec(grown + (attempt > 0) * 64):
            current = evaluate()
            tolerance = mp.ldexp(abs(current), -RESULT_BITS)
            if previous is not None:
                if current != 0 and abs(current - previous) <= tolerance:
                    return current
                threshold = mp.ldexp(1, _ZERO_EXPONENT)
                if grown > precision + 2000 and abs(current) < threshold and abs(previous) < threshold:
                    return mp.zero
        previous = current
        if attempt > 0:
            grown = grown * 3 // 2
    raise ArithmeticError(f"no 60 stable digits at {grown} bits")


def decays(numbers: Sequence[Number]) -> bool:
    """Whether a sequence falls as an exponential function does."""
    first, second, third = (abs(number) for number in numbers)
    return bool(second <= mp.ldexp(first, -50) and third <= mp.ldexp(second, -50))


def limit_of(numbers: Sequence[Number]) -> Number:
    """Limit of a sequence at the exponents k, 2k, 4k, from its three members: 0, a constant or an infinity."""
    first, second, third = numbers
    with mp.workprec(2 * RESULT_BITS):
        if decays(numbers):
            return mp.zero
        if abs(third - second) <= mp.ldexp(abs(third), -250):
            return third
        grows = abs(third) >= 1.5 * abs(second) >= 2.25 * abs(first)
        if grows and mp.sign(third) == mp.sign(second) == mp.sign(first):
            return mp.inf if third > 0 else mp.ninf
    raise ArithmeticError(f"no limit: {[mp.nstr(number, 10) for number in numbers]}")
