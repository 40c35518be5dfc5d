"""The kernels' polynomials against fits made anew, and their errors as approximations, in 60 digits."""

from functools import cache

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

from focal_ref._kernels.polynomials import FLOAT32, FLOAT64

CONSTANTS = {"float64": FLOAT64, "float32": FLOAT32}
PRECISION = {"float64": 53, "float32": 24}
LARGEST_EXPONENT = {"float64": 1076, "float32": 151}
SMALLEST_SUBNORMAL = {"float64": -1074, "float32": -149}
FORMATS = tuple(CONSTANTS)
DIGITS = 60
POINTS = 801


@pytest.fixture(autouse=True)
def enough_digits():
    with mp.workdps(DIGITS):
        yield


def stored(name, dtype):
    """The coefficients as the kernels use them, lowest power last."""
    number = np.dtype(dtype).type
    return [mpf(float(number(coefficient))) for coefficient in getattr(CONSTANTS[dtype], name)]


def exp_remainder(r):
    """(exp(r) - 1 - r) / r^2, by its series, which has no 0 / 0 in it."""
    return sum(r**n / mpmath.factorial(n + 2) for n in range(30))


def atanh_remainder(u):
    """(atanh(t) - t) / (t u) with t = sqrt(u), by its series."""
    return sum(u**n / (2 * n + 3) for n in range(70))


def log1p_remainder(e):
    """(log(1 + e) - e) / e^2, by its series next to 0, where it would be 0 / 0."""
    if abs(e) < mpf(10) ** -8:
        return sum((-1) ** (n + 1) * e**n / (n + 2) for n in range(9))
    return (mpmath.log1p(e) - e) / e**2


def exp_and_approximation(coefficients, r):
    return mpmath.exp(r), 1 + r + r * r * mpmath.polyval(coefficients, r)


def atanh_and_approximation(coefficients, u):
    t = mpmath.sqrt(u)
    return t * (1 + u * atanh_remainder(u)), t * (1 + u * mpmath.polyval(coefficients, u))


def log1p_and_approximation(coefficients, e):
    return mpmath.log1p(e), e + e * e * mpmath.polyval(coefficients, e)


APPROXIMATIONS = {
    "exp": (exp_remainder, exp_and_approximation, -mpmath.log(2) / 2, mpmath.log(2) / 2),
    "atanh": (atanh_remainder, atanh_and_approximation, mpf(0), mpf(1) / 9),
    "log1p": (log1p_remainder, log1p_and_approximation, mpf(0), mpf(1)),
}
POLYNOMIALS = [("exp", "float64"), ("exp", "float32"), ("atanh", "float64"), ("log1p", "float32")]
LARGEST_ERROR = {"exp": 0.125, "atanh": 0.125, "log1p": 0.375}
"""In ulp. The coefficients of log1p alternate, so that rounding them to float32 costs a third of one by itself."""
ROUNDING_OF_COEFFICIENTS = {"exp": 2.0**-5, "atanh": 2.0**-5, "log1p": 2.0**-3}

every_polynomial = pytest.mark.parametrize(("name", "dtype"), POLYNOMIALS)


def test_every_polynomial_of_a_format_is_among_those_tested():
    found = {(name, dtype) for dtype in FORMATS for name in APPROXIMATIONS if getattr(CONSTANTS[dtype], name)}
    assert found == set(POLYNOMIALS)


@cache
def largest_errors(name, dtype):
    """Largest errors in ulp of the stored polynomial and of a fit of the same degree in 60 digits."""
    remainder, evaluated, first, last = APPROXIMATIONS[name]
    coefficients = stored(name, dtype)
    fitted = mpmath.chebyfit(remainder, [first, last], len(coefficients))
    # More points near the ends, where a minimax polynomial's error is largest.
    points = [(first + last) / 2 - (last - first) / 2 * mpmath.cos(mpmath.pi * n / POINTS) for n in range(1, POINTS)]

    def error(polynomial, point):
        exact, approximate = evaluated(polynomial, point)
        return abs(approximate - exact) / mpf(2) ** (mpmath.floor(mpmath.log(exact, 2)) - PRECISION[dtype] + 1)

    return tuple(float(max(error(found, point) for point in points)) for found in (coefficients, fitted))


@every_polynomial
def test_each_polynomial_errs_by_a_small_part_of_an_ulp(name, dtype):
    assert largest_errors(name, dtype)[0] < LARGEST_ERROR[name]


@every_polynomial
def test_no_polynomial_of_the_same_degree_would_be_much_better(name, dtype):
    found, refitted = largest_errors(name, dtype)
    assert found < 1.1 * refitted + ROUNDING_OF_COEFFICIENTS[name]


@every_polynomial
def test_the_coefficients_are_those_of_the_fit_made_anew(name, dtype):
    remainder, _, first, last = APPROXIMATIONS[name]
    coefficients = stored(name, dtype)
    fitted = mpmath.chebyfit(remainder, [first, last], len(coefficients))
    # Each term in units of the last place of the whole; the leading ones are free to trade with each other.
    reach = max(abs(first), abs(last))
    for power, (own, other) in enumerate(zip(reversed(coefficients), reversed(fitted), strict=True), start=1):
        assert abs(own - other) * reach**power < 2.0 ** (2 - PRECISION[dtype])


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_two_parts_of_log_2_add_up_to_it(dtype):
    constants, number = CONSTANTS[dtype], np.dtype(dtype).type
    high, low = (mpf(float(number(part))) for part in (constants.log2_high, constants.log2_low))
    # Multiplied by the largest exponent, what is missing must not be seen beside an argument of the reduced range.
    assert abs(high + low - mpmath.log(2)) * LARGEST_EXPONENT[dtype] < 2.0 ** -(PRECISION[dtype] + 3)


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_high_part_of_log_2_times_any_exponent_is_exact(dtype):
    numerator, _ = CONSTANTS[dtype].log2_high.as_integer_ratio()
    assert (numerator * LARGEST_EXPONENT[dtype]).bit_length() <= PRECISION[dtype]


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_reciprocal_of_log_2_is_the_nearest_number(dtype):
    number = np.dtype(dtype).type
    assert number(CONSTANTS[dtype].log2_reciprocal) == number(float(1 / mpmath.log(2)))


@pytest.mark.parametrize("dtype", FORMATS)
def test_the_rounding_constant_has_a_unit_in_the_last_place_of_one(dtype):
    constant = np.dtype(dtype).type(CONSTANTS[dtype].round_to_integer)
    assert constant == 1.5 * 2.0 ** (PRECISION[dtype] - 1)
    assert np.spacing(constant) == 1


@pytest.mark.parametrize("dtype", FORMATS)
def test_exp_is_below_half_the_smallest_subnormal_where_it_is_said_to_vanish(dtype):
    half_the_smallest = mpf(2) ** (SMALLEST_SUBNORMAL[dtype] - 1)
    assert mpmath.exp(-mpf(CONSTANTS[dtype].vanishing)) < half_the_smallest
    # But not so far out that the exponent's two halves would leave the format.
    assert CONSTANTS[dtype].vanishing / float(mpmath.log(2)) < LARGEST_EXPONENT[dtype] + 0.5
