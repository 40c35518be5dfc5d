"""The kernels' exp, log1p, two_prod, selection and bit casts, with and without fused multiply-adds."""

from fractions import Fraction
from functools import cache

import mpmath
import numba
import numpy as np
import pytest
from mpmath import mp, mpf

from focal_ref._double_double import Unrounded, exponential, log1p
from focal_ref._kernels.primitives import absolute, bitcast, has_fused_multiply_add, kernel_primitives, where

DTYPES = ("float64", "float32")
FORMATS = {"float64": (-1022, 53), "float32": (-126, 24)}
VANISHING = {"float64": 746.0, "float32": 104.5}
LEAST_NORMAL_EXP = {"float64": -708.39, "float32": -87.33}

with_and_without_fusing = pytest.mark.parametrize("fused", [True, False], ids=["fused", "separate"])
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


@cache
def loops(dtype, fused):
    """exp, log1p and two_prod over arrays, as a kernel would compile them."""
    primitives = kernel_primitives(dtype, fused)
    exp, log1p, two_prod = primitives.exp, primitives.log1p, primitives.two_prod

    @numba.njit(error_model="numpy")
    def exp_loop(numbers, results):
        for index in range(numbers.size):
            results[index] = exp(numbers[index])

    @numba.njit(error_model="numpy")
    def log1p_loop(numbers, results):
        for index in range(numbers.size):
            results[index] = log1p(numbers[index])

    @numba.njit(error_model="numpy")
    def two_prod_loop(left, right, high, low):
        for index in range(left.size):
            high[index], low[index] = two_prod(left[index], right[index])

    return exp_loop, log1p_loop, two_prod_loop


def applied(loop, numbers):
    results = np.empty_like(numbers)
    loop(numbers, results)
    return results


def kernel_exp(dtype, fused, numbers):
    return applied(loops(dtype, fused)[0], np.array(numbers, dtype=dtype))


def kernel_log1p(dtype, fused, numbers):
    return applied(loops(dtype, fused)[1], np.array(numbers, dtype=dtype))


def errors(results, exact):
    """Errors in ulp of the exact results, the ulp being at least the smallest subnormal."""
    unit = exact.unit_exponent(*FORMATS[results.dtype.name])
    high, low = exact.in_units(unit)
    return np.abs((np.ldexp(results.astype(np.float64), -unit) - high) - low)


def negative_numbers(dtype, smallest):
    generator = np.random.default_rng(5)
    numbers = np.concatenate(
        [
            generator.uniform(smallest, 0.0, 60_000),
            generator.uniform(-3.0, 0.0, 60_000),
            -(10.0 ** generator.uniform(-30.0, 0.0, 20_000)),
        ]
    )
    return numbers.astype(dtype)


@both_dtypes
@with_and_without_fusing
def test_exp_errs_by_little_more_than_one_ulp_where_its_result_is_normal(dtype, fused):
    numbers = negative_numbers(dtype, LEAST_NORMAL_EXP[dtype])
    exact = exponential(Unrounded.from_float64(numbers.astype(np.float64)))
    assert np.max(errors(kernel_exp(dtype, fused, numbers), exact)) < 1.1


@both_dtypes
@with_and_without_fusing
def test_a_subnormal_result_of_exp_has_been_rounded_once(dtype, fused):
    numbers = np.random.default_rng(6).uniform(-VANISHING[dtype], LEAST_NORMAL_EXP[dtype], 30_000).astype(dtype)
    results = kernel_exp(dtype, fused, numbers)
    exact = exponential(Unrounded.from_float64(numbers.astype(np.float64)))
    # Before the rounding, a result is off by an ulp of its own, which is less than a subnormal's the smaller it is.
    assert np.max(errors(results, exact)) < 1.0
    small = results < 256 * np.finfo(dtype).smallest_subnormal
    assert np.max(errors(results, exact)[small]) < 0.501


@both_dtypes
@with_and_without_fusing
def test_exp_agrees_with_sixty_digits(dtype, fused):
    numbers = np.linspace(-VANISHING[dtype], 0.0, 301).astype(dtype)
    results = kernel_exp(dtype, fused, numbers)
    minimum, precision = FORMATS[dtype]
    with mp.workdps(60):
        for number, result in zip(numbers, results, strict=True):
            exact = mpmath.exp(mpf(float(number)))
            unit = mpf(2) ** (max(int(mpmath.floor(mpmath.log(exact, 2))), minimum) - precision + 1)
            assert abs(mpf(float(result)) - exact) < unit


@both_dtypes
@with_and_without_fusing
def test_exp_of_zero_is_one(dtype, fused):
    assert np.array_equal(kernel_exp(dtype, fused, [0.0, -0.0]), [1.0, 1.0])


@both_dtypes
@with_and_without_fusing
def test_exp_vanishes_from_its_limit_on_down_to_minus_infinity(dtype, fused):
    limit = VANISHING[dtype]
    numbers = [-limit, -1.5 * limit, -1e4, -1e30, -np.finfo(dtype).max, -np.inf]
    results = kernel_exp(dtype, fused, numbers)
    assert np.array_equal(results, np.zeros(len(numbers)))
    assert not np.any(np.signbit(results))


@both_dtypes
@with_and_without_fusing
def test_the_smallest_results_of_exp_are_the_last_subnormals(dtype, fused):
    minimum, precision = FORMATS[dtype]
    smallest = minimum - precision + 1
    near_two = (smallest + 1) * np.log(2.0)
    # Beyond half the smallest subnormal comes zero.
    zero = (smallest - 1) * np.log(2.0) - 0.01
    assert np.array_equal(
        kernel_exp(dtype, fused, [near_two, near_two + np.log(0.45), zero]), [2.0 * 2.0**smallest, 2.0**smallest, 0.0]
    )


@both_dtypes
@with_and_without_fusing
def test_log1p_errs_by_less_than_two_ulp_on_its_interval(dtype, fused):
    generator = np.random.default_rng(7)
    numbers = np.concatenate([generator.random(80_000), 10.0 ** generator.uniform(-37.0, 0.0, 40_000)]).astype(dtype)
    exact = log1p(Unrounded.from_float64(numbers.astype(np.float64)))
    assert np.max(errors(kernel_log1p(dtype, fused, numbers), exact)) < 2.0


@both_dtypes
@with_and_without_fusing
def test_log1p_agrees_with_sixty_digits(dtype, fused):
    numbers = np.linspace(0.0, 1.0, 301)[1:].astype(dtype)
    results = kernel_log1p(dtype, fused, numbers)
    with mp.workdps(60):
        relative = [
            abs(mpf(float(result)) / mpmath.log1p(mpf(float(number))) - 1)
            for number, result in zip(numbers, results, strict=True)
        ]
    assert max(relative) < 1.5 * 2.0 ** (1 - FORMATS[dtype][1])


@both_dtypes
@with_and_without_fusing
def test_log1p_of_subnormals_and_zero_is_the_number_itself(dtype, fused):
    numbers = np.array([0, 1, 2, 3, 1000, 12345], dtype=dtype) * np.finfo(dtype).smallest_subnormal
    results = kernel_log1p(dtype, fused, numbers)
    # Halving an odd subnormal on the way costs its last bit.
    assert np.all(np.abs(results - numbers) <= np.finfo(dtype).smallest_subnormal)
    assert results[0] == 0.0


@both_dtypes
@with_and_without_fusing
def test_nan_goes_through_exp_and_log1p(dtype, fused):
    assert np.all(np.isnan(kernel_exp(dtype, fused, [np.nan, -np.nan])))
    assert np.all(np.isnan(kernel_log1p(dtype, fused, [np.nan, -np.nan])))


@both_dtypes
@with_and_without_fusing
def test_two_prod_returns_the_rounded_product_and_exactly_what_was_cut_off(dtype, fused):
    generator = np.random.default_rng(8)
    scales = 2.0 ** generator.integers(-20, 20, (2, 3000))
    left, right = (generator.normal(0.0, 1.0, (2, 3000)) * scales).astype(dtype)
    high, low = np.empty_like(left), np.empty_like(left)
    loops(dtype, fused)[2](left, right, high, low)
    assert np.array_equal(high, left * right)
    for a, b, upper, lower in zip(left.tolist(), right.tolist(), high.tolist(), low.tolist(), strict=True):
        assert Fraction(upper) + Fraction(lower) == Fraction(a) * Fraction(b)


@both_dtypes
@with_and_without_fusing
def test_two_prod_is_exact_for_the_largest_arguments_of_the_closed_forms(dtype, fused):
    # Both are capped at 1e4 there; in float32 the exponent's own rounding is carried besides.
    numbers = np.array([0.0, 1.0, 745.25, 9999.875, 1e4], dtype=dtype)
    left, right = (grid.reshape(-1).copy() for grid in np.meshgrid(numbers, numbers))
    high, low = np.empty_like(left), np.empty_like(left)
    loops(dtype, fused)[2](left, right, high, low)
    for a, b, upper, lower in zip(left.tolist(), right.tolist(), high.tolist(), low.tolist(), strict=True):
        assert Fraction(upper) + Fraction(lower) == Fraction(a) * Fraction(b)


@numba.njit
def cast_all(numbers, results):
    for index in range(numbers.size):
        results[index] = bitcast(numbers[index])


@numba.njit
def absolute_of_all(numbers, results):
    for index in range(numbers.size):
        results[index] = absolute(numbers[index])


@numba.njit
def select_all(conditions, first, second, results):
    for index in range(conditions.size):
        results[index] = where(conditions[index], first[index], second[index])


SPECIAL_NUMBERS = [0.0, -0.0, 1.0, -1.5, np.inf, -np.inf, np.nan, -np.nan, 1e-40, -1e-45]


@pytest.mark.parametrize(("floating", "integer"), [("float64", "int64"), ("float32", "int32")])
def test_a_bit_cast_keeps_every_bit_both_ways(floating, integer):
    patterns = np.random.default_rng(9).integers(np.iinfo(integer).min, np.iinfo(integer).max, 10_000, dtype=integer)
    patterns = np.concatenate([np.array(SPECIAL_NUMBERS, dtype=floating).view(integer), patterns])
    numbers, back = np.empty(patterns.size, floating), np.empty(patterns.size, integer)
    cast_all(patterns, numbers)
    assert np.array_equal(numbers.view(integer), patterns)
    cast_all(numbers, back)
    assert np.array_equal(back, patterns)


@both_dtypes
def test_the_absolute_value_clears_the_sign_of_zero_infinity_and_nan_too(dtype):
    numbers = np.array(SPECIAL_NUMBERS, dtype=dtype)
    results = np.empty_like(numbers)
    absolute_of_all(numbers, results)
    assert not np.any(np.signbit(results))
    assert np.array_equal(results, np.where(np.signbit(numbers), -numbers, numbers), equal_nan=True)


def test_a_selection_takes_the_chosen_number_whatever_the_other_one_is():
    conditions = np.array([True, False, True, False])
    first, second = np.array([1.0, np.nan, -0.0, np.inf]), np.array([np.nan, 2.0, np.inf, -0.0])
    results = np.empty(4)
    select_all(conditions, first, second, results)
    assert results.tolist() == [1.0, 2.0, 0.0, 0.0]
    assert np.signbit(results).tolist() == [False, False, True, True]


def test_fused_multiply_adds_are_used_where_the_processor_has_them():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        flags = {word for line in file if line.startswith("flags") for word in line.split()}
    if not flags:
        pytest.skip("no x86 processor flags to read")
    assert has_fused_multiply_add() == ("fma" in flags)
