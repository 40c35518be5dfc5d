"""Formats: bits and correct rounding, against NumPy where NumPy can be trusted."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from mpmath import mp

from focal_ref.conformance.formats import (
    FORMATS,
    Format,
    exact_value,
    from_bits,
    from_hex,
    hex_bits,
    in_ulps,
    round_to_format,
    to_bits,
    ulp,
)

FLOAT32 = FORMATS["float32"]
every_format = pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [
        ("float64", 1.0, "3ff0000000000000"),
        ("float32", 1.0, "3f800000"),
        ("float16", 1.0, "3c00"),
        ("bfloat16", 1.0, "3f80"),
        ("float32", -0.0, "80000000"),
        ("float32", math.inf, "7f800000"),
        ("float16", -math.inf, "fc00"),
        ("bfloat16", math.nan, "7fc0"),
        ("float64", math.nan, "7ff8000000000000"),
        ("float32", Fraction(1, 3), "3eaaaaab"),
        ("float16", 65504, "7bff"),
        ("float16", 65520, "7c00"),
        ("bfloat16", Fraction(1, 10), "3dcd"),
        ("float32", Fraction(1, 2**149), "00000001"),
        ("float32", Fraction(1, 2**150), "00000000"),
        ("float32", -Fraction(1, 2**150), "80000000"),
        ("float32", Fraction(2**50 + 1, 2**200), "00000001"),
    ],
)
def test_known_numbers_have_known_bits(name: str, number: float | Fraction, expected: str) -> None:
    assert hex_bits(number, FORMATS[name]) == expected


@every_format
def test_limits_are_those_of_the_dtype(format: Format) -> None:
    largest = from_bits(format.infinity_bits - 1, format)[()]
    assert np.isfinite(largest)
    assert np.isinf(from_bits(format.infinity_bits, format)[()])
    assert np.isnan(from_bits(format.nan_bits, format)[()])
    smallest_normal = from_bits(1 << (format.precision - 1), format)[()]
    assert float(smallest_normal) == 2.0**format.minimum_exponent
    assert 2.0**format.maximum_exponent <= float(largest)


@every_format
def test_every_sampled_number_survives_the_round_trip(format: Format) -> None:
    random = np.random.default_rng(0)
    bits = random.integers(0, 1 << format.bits, 3000, dtype=np.uint64).astype(format.bits_dtype)
    numbers = from_bits(bits, format)
    assert np.array_equal(to_bits(numbers, format), bits)
    for number, pattern in zip(numbers, bits, strict=True):
        if int(pattern) & ~format.sign_bit < format.infinity_bits:
            assert exact_value(int(pattern), format) == Fraction(float(number))
            assert round_to_format(float(number), format) == int(pattern)
            assert hex_bits(from_hex(f"{pattern:0{format.bits // 4}x}", format), format) == (
                f"{pattern:0{format.bits // 4}x}"
            )


@pytest.mark.parametrize("name", ["float32", "float16"])
def test_rounding_agrees_with_numpy_from_float64(name: str) -> None:
    format = FORMATS[name]
    random = np.random.default_rng(1)
    numbers = random.normal(size=4000) * 2.0 ** random.uniform(-170, 140, 4000)
    with np.errstate(over="ignore"):
        expected = to_bits(numbers.astype(name), format)
    for number, bits in zip(numbers, expected, strict=True):
        assert round_to_format(float(number), format) == bits


@every_format
def test_a_tie_goes_to_the_even_neighbour_and_a_trifle_decides_it(format: Format) -> None:
    for bits in (1, 2, 1 << (format.precision - 1), (1 << (format.precision - 1)) - 1):
        low, high = exact_value(bits, format), exact_value(bits + 1, format)
        middle = (low + high) / 2
        trifle = middle / 2**5000
        assert round_to_format(middle, format) == bits + (bits & 1)
        assert round_to_format(middle - trifle, format) == bits
        assert round_to_format(middle + trifle, format) == bits + 1
        assert round_to_format(-middle - trifle, format) == bits + 1 | format.sign_bit


@every_format
def test_overflow_starts_at_half_an_ulp_above_the_largest_number(format: Format) -> None:
    largest = exact_value(format.infinity_bits - 1, format)
    limit = largest + ulp(largest, format) / 2
    assert round_to_format(limit - 1, format) == format.infinity_bits - 1
    assert round_to_format(limit, format) == format.infinity_bits


def test_mpmath_numbers_with_astronomic_exponents_round_at_once() -> None:
    tiny = mp.exp(-(mp.mpf(10) ** 200))
    assert round_to_format(tiny, FLOAT32) == 0
    assert round_to_format(mp.fneg(tiny, exact=True), FLOAT32) == FLOAT32.sign_bit
    assert round_to_format(mp.exp(mp.mpf(10) ** 200), FLOAT32) == FLOAT32.infinity_bits
    assert round_to_format(mp.ninf, FLOAT32) == FLOAT32.infinity_bits | FLOAT32.sign_bit
    assert round_to_format(mp.nan, FLOAT32) == FLOAT32.nan_bits
    assert round_to_format(mp.zero, FLOAT32, negative_zero=True) == FLOAT32.sign_bit


def test_the_ulp_is_that_of_the_exact_number_and_never_below_the_smallest_subnormal() -> None:
    assert ulp(Fraction(1), FLOAT32) == Fraction(1, 2**23)
    assert ulp(1 - Fraction(1, 2**100), FLOAT32) == Fraction(1, 2**24)
    assert ulp(Fraction(1, 2**400), FLOAT32) == Fraction(1, 2**149)
    assert ulp(Fraction(0), FLOAT32) == Fraction(1, 2**149)


@every_format
def test_the_error_of_a_rounded_number_is_measured_to_a_fraction_of_an_ulp(format: Format) -> None:
    random = np.random.default_rng(2)
    for _ in range(300):
        exact = Fraction(int(random.integers(1, 2**60)), int(random.integers(1, 2**60)))
        exact *= Fraction(2) ** int(random.integers(-20, 10))
        got = float(from_bits(round_to_format(exact, format), format)[()])
        high, low, ulp_exponent = in_ulps(exact, format)
        measured = abs((math.ldexp(got, -ulp_exponent) - high) - low)
        true = abs(Fraction(got) - exact) / ulp(exact, format)
        assert measured <= 0.5
        assert measured == pytest.approx(float(true), abs=1e-12)


def test_an_array_of_another_dtype_is_refused() -> None:
    with pytest.raises(TypeError, match="float64, expected float32"):
        to_bits(np.zeros(2), FLOAT32)


@pytest.mark.parametrize("text", ["3f8", "3F800000", "0x3f8000", "3f80000g"])
def test_malformed_bits_are_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' is not 8 lowercase hexadecimal digits"):
        from_hex(text, FLOAT32)
