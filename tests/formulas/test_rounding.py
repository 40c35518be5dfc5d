"""The one rounding from float64 to a narrower format, against rounding of the exact rational numbers."""

from fractions import Fraction

import numpy as np
import pytest

from focal_ref._rounding import NARROW_FORMATS, rounder

every_format = pytest.mark.parametrize("name", NARROW_FORMATS)
# Restated here: bits of the stored fraction and exponent bias, as IEEE 754 and bfloat16's definition have them.
FRACTION_BITS = {"float32": 23, "float16": 10, "bfloat16": 7}
BIAS = {"float32": 127, "float16": 15, "bfloat16": 127}
WIDTH = {"float32": 32, "float16": 16, "bfloat16": 16}


def rounded(name, numbers):
    """Bit patterns from the code under test."""
    bits = np.asarray(numbers, dtype=np.float64).view(np.int64)
    return rounder(NARROW_FORMATS[name], np.where)(bits)


def infinity(name):
    return (2 * BIAS[name] + 1) << FRACTION_BITS[name]


def sign_bit(name):
    return 1 << (WIDTH[name] - 1)


def number_of(name, pattern):
    """The exact number that a pattern without sign stands for, infinity's being the power of two that would follow."""
    bits, bias = FRACTION_BITS[name], BIAS[name]
    exponent, fraction = pattern >> bits, pattern & ((1 << bits) - 1)
    significand, exponent = (fraction, 1) if exponent == 0 else (fraction | 1 << bits, exponent)
    return Fraction(significand) * Fraction(2) ** (exponent - bias - bits)


def nearest(name, number):
    """The pattern nearest to a finite float64, ties to even, by exact rational arithmetic and bisection."""
    sign = sign_bit(name) if np.signbit(number) else 0
    magnitude = abs(Fraction(float(number)))
    low, high = 0, infinity(name)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if number_of(name, middle) <= magnitude else (low, middle)
    below, above = magnitude - number_of(name, low), number_of(name, high) - magnitude
    return sign | (low if below < above or (below == above and low % 2 == 0) else high)


def assert_nearest(name, numbers):
    expected = [nearest(name, number) for number in numbers]
    np.testing.assert_array_equal(rounded(name, numbers), expected)


def patterns_of_interest(name):
    """Around zero, around the smallest normal number, around one, at the top, and some at random."""
    one = BIAS[name] << FRACTION_BITS[name]
    normal, top = 1 << FRACTION_BITS[name], infinity(name)
    places = [0, 1, 2, 3, normal - 2, normal - 1, normal, normal + 1, one - 1, one, one + 1, top - 2, top - 1]
    return places + np.random.default_rng(0).integers(0, top, 400).tolist()


@every_format
def test_numbers_of_the_format_keep_their_pattern(name):
    patterns = patterns_of_interest(name)
    numbers = [float(number_of(name, pattern)) for pattern in patterns]
    assert rounded(name, numbers).tolist() == patterns
    negative = rounded(name, np.negative(numbers))
    assert negative.tolist() == [pattern | sign_bit(name) for pattern in patterns]


@every_format
def test_ties_go_to_the_even_neighbour_and_anything_off_a_tie_to_the_nearer_one(name):
    for pattern in patterns_of_interest(name):
        middle = float((number_of(name, pattern) + number_of(name, pattern + 1)) / 2)
        around = [np.nextafter(middle, 0.0), middle, np.nextafter(middle, np.inf)]
        expected = [pattern, pattern + pattern % 2, pattern + 1]
        assert rounded(name, around).tolist() == expected
        assert rounded(name, np.negative(around)).tolist() == [number | sign_bit(name) for number in expected]


@every_format
def test_random_numbers_of_the_formats_range_go_to_the_nearest(name):
    generator = np.random.default_rng(1)
    smallest = 1 - BIAS[name] - FRACTION_BITS[name]
    exponents = generator.uniform(smallest - 3, BIAS[name] + 2, 1500)
    assert_nearest(name, generator.choice([-1.0, 1.0], 1500) * 2.0**exponents)


@every_format
def test_random_bit_patterns_of_float64_go_to_the_nearest(name):
    patterns = np.random.default_rng(2).integers(-(2**63), 2**63 - 1, 1500)
    numbers = patterns.view(np.float64)
    assert_nearest(name, numbers[np.isfinite(numbers)])


@every_format
def test_subnormal_results_are_rounded_once(name):
    generator = np.random.default_rng(3)
    smallest = 2.0 ** (1 - BIAS[name] - FRACTION_BITS[name])
    units = np.concatenate([generator.uniform(0.0, 1 << FRACTION_BITS[name], 800), np.arange(0.0, 40.0, 0.25)])
    assert_nearest(name, units * smallest)


@every_format
def test_from_half_a_unit_beyond_the_largest_number_on_it_is_infinity(name):
    largest, beyond = (number_of(name, infinity(name) - offset) for offset in (1, 0))
    limit = float((largest + beyond) / 2)
    numbers = [np.nextafter(limit, 0.0), limit, float(beyond), 1e300, np.finfo(np.float64).max, np.inf]
    expected = [infinity(name) - 1] + [infinity(name)] * 5
    assert rounded(name, numbers).tolist() == expected
    assert rounded(name, np.negative(numbers)).tolist() == [pattern | sign_bit(name) for pattern in expected]


@every_format
def test_up_to_half_the_smallest_subnormal_it_is_a_zero_of_the_same_sign(name):
    half = 2.0 ** (-BIAS[name] - FRACTION_BITS[name])
    numbers = [0.0, 5e-324, 1e-310, 2.0**-1022, 1e-200, np.nextafter(half, 0.0), half]
    assert rounded(name, numbers).tolist() == [0] * len(numbers)
    assert rounded(name, np.negative(numbers)).tolist() == [sign_bit(name)] * len(numbers)
    assert rounded(name, [np.nextafter(half, 1.0)]).tolist() == [1]


@every_format
def test_any_nan_becomes_a_quiet_nan(name):
    payloads = np.array([0x7FF0000000000001, 0x7FF8000000000000, 0x7FFFFFFFFFFFFFFF], dtype=np.int64)
    for patterns in (payloads, payloads | np.int64(-(2**63))):
        magnitudes = rounded(name, patterns.view(np.float64)) & ~sign_bit(name)
        assert np.all(magnitudes > infinity(name))
        assert np.all(magnitudes & (1 << (FRACTION_BITS[name] - 1)))


def test_rounding_to_float32_is_what_the_processor_does():
    patterns = np.random.default_rng(4).integers(-(2**63), 2**63 - 1, 100_000)
    # All exponents of float64 are mostly far out of float32's range: half of them are moved into it.
    exponent_bits = np.int64(0x7FF) << 52
    inside = (patterns & ~exponent_bits) | (np.random.default_rng(5).integers(860, 1160, patterns.size) << 52)
    numbers = np.concatenate([patterns, inside]).view(np.float64)
    numbers = numbers[~np.isnan(numbers)]
    with np.errstate(over="ignore", under="ignore"):
        expected = numbers.astype(np.float32).view(np.uint32)
    assert np.array_equal(rounded("float32", numbers), expected)
