"""Errors and budgets: measured in fractions of an ulp, against rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from mpmath import mp

from focal_ref.conformance import oracle
from focal_ref.conformance.accuracy import (
    absolute_budget,
    budget,
    error_in_ulps,
    exact_results,
    family_budget,
    format_of,
    modulation,
    round_units,
)
from focal_ref.conformance.formats import FORMATS, exact_value, round_to_format, to_bits, ulp

ALL = pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)


def sample(format, count=200, seed=1):
    generator = np.random.default_rng(seed)
    logits = generator.normal(0.0, 12.0, count).astype(format.dtype)
    return logits, (generator.random(count) < 0.5).astype(format.dtype)


@ALL
@pytest.mark.parametrize("quantity", ["value", "gradient", "second_derivative"])
def test_exact_results_have_the_bits_of_the_oracle(format, quantity):
    logits, targets = sample(format, 60)
    exact = exact_results(logits, targets, alpha=0.25, gamma=2.0, format=format)[quantity]
    arguments = zip(logits.tolist(), targets.tolist(), strict=True)
    expected = [oracle.rounded(quantity, Fraction(x), Fraction(t), 0.25, 2.0, format) for x, t in arguments]
    assert to_bits(exact.numbers, format).tolist() == expected


@ALL
def test_the_error_is_the_rational_one(format):
    logits, targets = sample(format, 40)
    exact = exact_results(logits, targets, alpha=None, gamma=1.5, format=format)["value"]
    wrong = np.nextafter(exact.numbers.astype(np.float64), np.inf).astype(format.dtype)
    wrong = np.where(to_bits(wrong, format) == to_bits(exact.numbers, format), exact.numbers * 2, wrong)
    wrong = wrong.astype(format.dtype)
    got = error_in_ulps(wrong, exact, flushed=0.0, format=format)
    for x, t, number, error in zip(logits.tolist(), targets.tolist(), to_bits(wrong, format), got, strict=True):
        with mp.workprec(300):
            truth = oracle.loss(Fraction(x), Fraction(t), None, 1.5)
            unit = ulp(truth, format)
            rational = exact_value(int(number), format)
            distance = abs(mp.mpf(rational.numerator) / rational.denominator - truth)
            expected = float(distance * unit.denominator / unit.numerator)
        assert error == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("got", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_infinitely_far_from_a_finite_result(got):
    format = FORMATS["float32"]
    exact = exact_results(np.float32([1.0]), np.float32([1.0]), alpha=None, gamma=2.0, format=format)["value"]
    assert error_in_ulps(np.float32([got]), exact, flushed=0.0, format=format)[0] == np.inf


def test_nan_equals_nan_and_infinity_its_own_sign_alone():
    format = FORMATS["float32"]
    logits, targets = np.float32([np.nan, -np.inf, -np.inf]), np.float32([1.0, 1.0, 1.0])
    exact = exact_results(logits, targets, alpha=None, gamma=2.0, format=format)["value"]
    got = np.float32([np.nan, np.inf, -np.inf])
    assert error_in_ulps(got, exact, flushed=0.0, format=format).tolist() == [0.0, 0.0, np.inf]


def test_a_flushed_zero_is_accepted_below_the_smallest_normal_number_and_not_above():
    format = FORMATS["float32"]
    logits = np.float32([43.6, 40.0])  # the loss is e^(-2 s): 1.4e-38 and 1.8e-35 times a factor near one
    logits[0] = 44.0
    exact = exact_results(logits, np.float32([1.0, 1.0]), alpha=None, gamma=1.0, format=format)["value"]
    assert 0 < exact.numbers[0] < 2.0**-126 < exact.numbers[1]
    zeros = np.zeros(2, np.float32)
    assert error_in_ulps(zeros, exact, flushed=1.0, format=format)[0] == 0.0
    assert error_in_ulps(zeros, exact, flushed=1.0, format=format)[1] > 1e5
    assert error_in_ulps(zeros, exact, flushed=0.0, format=format)[0] > 1e5


@ALL
def test_rounding_units_is_rounding_the_rational_number(format):
    generator = np.random.default_rng(5)
    exponent = generator.integers(format.minimum_ulp_exponent, format.minimum_ulp_exponent + 20, 300)
    high = np.rint(generator.uniform(2 ** (format.precision - 1), 2**format.precision - 1, 300))
    high += generator.choice([0.0, 0.5, 0.25], 300) if format.precision < 53 else 0.0
    low = generator.choice([0.0, 1e-20, -1e-20], 300)
    got = to_bits(round_units(high, low, exponent.astype(np.int64), format), format)
    for index in range(300):
        rational = (Fraction(high[index]) + Fraction(low[index])) * Fraction(2) ** int(exponent[index])
        assert int(got[index]) == round_to_format(rational, format)


def test_the_mixture_rule_adds_the_two_hard_losses_by_the_target():
    format = FORMATS["float64"]
    logits, targets = np.array([0.7, -2.0]), np.array([0.3, 0.9])
    got = exact_results(logits, targets, alpha=0.25, gamma=2.0, format=format, rule="mixture")["value"].numbers
    for x, t, value in zip(logits, targets, got, strict=True):
        with mp.workprec(200):
            positive = oracle.loss(Fraction(x), Fraction(1), 0.25, 2.0)
            negative = oracle.loss(Fraction(x), Fraction(0), 0.25, 2.0)
            expected = float(mp.mpf(t) * positive + (1 - mp.mpf(t)) * negative)
        assert value == pytest.approx(expected, rel=1e-15)


def test_budgets_are_the_documented_ones():
    assert budget("exact", FORMATS["float32"], 5.0, weighted=True) == 0.501
    assert budget("exact", FORMATS["float16"], 0.0, weighted=False) == 0.501
    assert budget("exact", FORMATS["float64"], 2.0, weighted=False) == 12.0
    assert budget("exact", FORMATS["float64"], 2.0, weighted=True) == 13.0
    assert budget("fast", FORMATS["float32"], 2.0, weighted=False) == 14.0
    assert budget("fast", FORMATS["bfloat16"], 2.0, weighted=True) == 0.51
    assert budget("standard", FORMATS["float32"], 2.0, weighted=False, modulation=10.0) == 16 + 8 + 20


def test_the_modulation_is_the_size_of_the_exponent_in_log_space():
    got = modulation(np.array([10.0, -10.0, np.inf, np.nan]), np.array([1.0, 1.0, 1.0, 0.0]), 2.0)
    assert got[0] == pytest.approx(20.0, abs=1e-3)
    assert got[1] == pytest.approx(0.0, abs=1e-3)
    assert got[2] == 1e4
    assert got[3] == 0.0


UNIT = Fraction(1, 2**24)  # half an ulp of one in float32


@pytest.mark.parametrize(
    ("size", "exponent", "units"), [(0.0, 0.0, 4), (3.0, 2.0, 48), (0.5, 1.0, 12), (np.inf, 2.0, 12)]
)
@pytest.mark.parametrize("quantity", ["value", "gradient"])
def test_cancellation_costs_four_roundings_of_a_number_of_the_logits_size(quantity, size, exponent, units):
    got = absolute_budget(
        FORMATS["float32"],
        quantity,
        size=np.array([size]),
        probability=np.array([0.5]),
        exponent=exponent,
        epsilon=None,
    )
    assert got.tolist() == [float(units * UNIT)]


@pytest.mark.parametrize(
    ("probability", "subtracted", "units"),
    [
        (0.25, False, 0),
        (0.25, True, 8),  # its logarithm is off by u / p twice
        (2.0**-12, True, 2**11),  # and by no more than at epsilon
        (2.0**-9, False, 0),
    ],
)
def test_a_clipped_probability_that_is_a_difference_is_off_by_its_rounding(probability, subtracted, units):
    got = absolute_budget(
        FORMATS["float32"],
        "value",
        size=np.array([0.0]),
        probability=np.array([probability]),
        exponent=0.0,
        epsilon=2.0**-10,
        subtracted=subtracted,
    )
    assert got.tolist() == [float((4 + units) * UNIT)]


@pytest.mark.parametrize(
    ("rest", "exponent", "lost"),
    [
        (Fraction(1, 2), 1.0, 4 * UNIT),
        (Fraction(1, 2), 2.0, 8 * UNIT / 2),
        (Fraction(1, 4), 3.0, 12 * UNIT / 16),
        (32 * UNIT, 2.0, 8 * UNIT * 32 * UNIT),
        (16 * UNIT, 2.0, (16 * UNIT) ** 2),
        (8 * UNIT, 1.0, 16 * UNIT),
        (Fraction(0), 2.0, (16 * UNIT) ** 2),
        (Fraction(1, 2), 0.0, 0),
    ],
)
def test_the_power_beside_a_clipped_logarithm_is_lost_where_it_is_small(rest, exponent, lost):
    epsilon = Fraction(1, 2**10)
    got = absolute_budget(
        FORMATS["float32"],
        "value",
        size=np.array([0.0]),
        probability=np.array([float(1 - rest)]),
        exponent=exponent,
        epsilon=float(epsilon),
        subtracted=False,
    )
    power = 1 + Fraction(exponent)
    assert got.tolist() == [pytest.approx(float(4 * UNIT * power + 2 * epsilon * power * lost), rel=1e-15)]


@pytest.mark.parametrize(
    ("share", "at_the_clip"), [(0.49, False), (0.5, True), (1.0, True), (2.0, True), (2.01, False)]
)
def test_around_the_clip_a_gradient_may_be_all_or_nothing_and_a_value_not(share, at_the_clip):
    epsilon = 2.0**-10
    for quantity in ("value", "gradient"):
        got = absolute_budget(
            FORMATS["float32"],
            quantity,
            size=np.array([0.0]),
            probability=np.array([share * epsilon]),
            exponent=2.0,
            epsilon=epsilon,
            subtracted=False,
        )
        assert (got[0] == 3.0) == (at_the_clip and quantity == "gradient")
        assert got[0] == 3.0 or got[0] < 1e-4


@pytest.mark.parametrize("tier", ["standard", "cancellation-limited", "clipped"])
def test_standard_budgets_grow_with_gamma_the_modulation_and_a_weight(tier):
    for format in FORMATS.values():
        assert budget(tier, format, 2.0, weighted=False) == 16 + 8
        assert budget(tier, format, 2.0, weighted=True, modulation=10.0) == 16 + 8 + 20 + 1
        assert budget(tier, format, 1e300, weighted=False) == 16 + 4e9
    assert budget(tier, FORMATS["float32"], np.array([0.0, 1.0]), weighted=True).tolist() == [17.0, 21.0]


def test_a_weight_costs_one_ulp_more_where_the_result_is_not_rounded_once():
    for tier in ("fast", "tight"):
        assert budget(tier, FORMATS["float32"], 2.0, weighted=True) == 10 + 4 + 1
        assert budget(tier, FORMATS["float16"], np.array([1.0, 2.0]), weighted=True).tolist() == [0.51, 0.51]
        assert budget(tier, FORMATS["float64"], 2.0, weighted=True) == 8 + 4 + 1


def test_budgets_of_the_other_losses_in_the_standard_tier_grow_with_exponent_margin_and_weight():
    def allowed(exponent, margin=0.0, weighted=False):
        function = "quality_focal_loss"
        return family_budget(function, "standard", FORMATS["float32"], exponent, weighted=weighted, margin=margin)

    assert allowed(0.0) == 16.0
    assert allowed(0.0, weighted=True) == 17.0
    assert family_budget("quality_focal_loss", "standard", FORMATS["float32"], 2.0, weighted=False) == pytest.approx(
        16 + 8 + 4 * np.log(2.0)
    )
    assert allowed(2.0, 10.0) == pytest.approx(16 + 8 + 4 * 10.0000454)
    assert allowed(2.0, np.array([10.0, np.inf, np.nan])).tolist() == pytest.approx([64.0001816, 16 + 8 + 2e4, 24.0])
    assert allowed(1e300, 1.0) == 16 + 4e9 + 2e4


def test_budgets_of_the_other_losses_in_float64_and_the_tight_tier_grow_with_a_weight():
    def allowed(function, tier, format, weighted):
        return float(family_budget(function, tier, FORMATS[format], 2.0, weighted=weighted))

    assert allowed("quality_focal_loss", "tight", "float32", True) == 15.0
    assert allowed("quality_focal_loss", "tight", "float32", False) == 14.0
    assert allowed("softmax_loss", "tight", "float16", True) == 1.0
    assert allowed("star_loss", "tight", "float16", True) == 0.51
    assert allowed("star_loss", "exact", "float64", True) == 5.0
    assert allowed("softmax_loss", "exact", "float64", True) == 16.0
    assert family_budget("loss", "exact", FORMATS["float64"], 1e300, weighted=False) == 8 + 2e9


def test_the_modulation_of_a_soft_target_is_that_of_its_harder_side():
    softplus = np.log1p(np.exp(3.0))
    got = modulation(np.array([3.0, 3.0, -3.0, -3.0]), np.array([0.5, 0.75, 0.25, 0.5]), np.array([1.0, 2.0, 3.0, 1.0]))
    np.testing.assert_allclose(got, [softplus, 2 * softplus, 3 * softplus, np.log1p(np.exp(-3.0))], rtol=1e-14)


@ALL
def test_up_to_the_largest_number_it_is_kept_and_beyond_it_is_infinity(format):
    unit = format.maximum_exponent - format.precision + 1
    units = 2.0**format.precision - np.array([1.0, 2.0, 2.0 ** (format.precision - 1) - 1])
    exponent = np.full(3, unit)
    for sign in (1.0, -1.0):
        got = round_units(sign * units, np.zeros(3), exponent, format).astype(np.float64)
        assert got.tolist() == [sign * float(number) * 2.0**unit for number in units]
        beyond = round_units(sign * np.array([2.0**format.precision]), np.zeros(1), exponent[:1], format)
        assert beyond.astype(np.float64).tolist() == [sign * np.inf]


def test_a_tie_is_decided_by_a_low_part_however_small():
    smallest = np.nextafter(0.0, 1.0)
    high = np.array([100.5, 100.5, 101.5, 101.5, -100.5, -100.5, 100.5, 101.5])
    low = np.array([smallest, -smallest, smallest, -smallest, -smallest, smallest, 0.0, 0.0])
    got = round_units(high, low, np.zeros(8, np.int64), FORMATS["float32"])
    assert got.tolist() == [101.0, 100.0, 102.0, 101.0, -101.0, -100.0, 100.0, 102.0]


def test_what_is_not_finite_stays_so_when_it_is_rounded():
    high = np.array([np.inf, -np.inf, np.nan])
    for format in FORMATS.values():
        got = round_units(high, np.zeros(3), np.zeros(3, np.int64), format).astype(np.float64)
        np.testing.assert_array_equal(got, high)


@pytest.mark.parametrize("target", [0.0, 0.25, 0.5, 1.0])
def test_errors_of_a_gradient_count_in_ulp_of_its_terms_where_the_target_is_soft(target):
    # The gradient is A (1 - t) - B t, which is 0 in between: there its terms are larger than what is left of them.
    format = FORMATS["float32"]
    logits = np.float32(np.linspace(-6.0, 6.0, 400))
    exact = exact_results(logits, np.full(400, target), alpha=None, gamma=2.0, format=format)
    gradient, value = exact["gradient"], exact["value"]
    larger = gradient.scale_ulp_exponent - gradient.ulp_exponent
    assert np.all(larger >= 0)
    assert np.any(larger > 3) == (target in (0.25, 0.5))
    assert np.any(larger > 0) == (target in (0.25, 0.5))
    assert np.all(value.scale_ulp_exponent == value.ulp_exponent)
    second = exact["second_derivative"]
    if target != 0.5:
        assert np.any(second.scale_ulp_exponent > second.ulp_exponent + 3), "it has roots for hard targets too"


def test_the_format_is_that_of_the_dtype():
    assert all(format_of(np.zeros(1, format.dtype)) is format for format in FORMATS.values())
