"""The oracle: documented numbers, special values, and agreement with Arb everywhere."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from mpmath import mp

from focal_ref.conformance import oracle
from focal_ref.conformance.certify import certified_bits
from focal_ref.conformance.documented import DocumentedNumber, DocumentedOrder, load_documented
from focal_ref.conformance.formats import FORMATS, exact_value, round_to_format

DOCUMENTED = load_documented()
LN2 = "0.693147180559945309417232121458176568075500134360255254120680009493393621969694715605863"


def close(number: object, expected: object, digits: int) -> bool:
    with mp.workdps(120):
        difference = abs(mp.mpf(number) - mp.mpf(expected))
        return bool(difference <= abs(mp.mpf(expected)) * mp.mpf(10) ** -digits)


@pytest.mark.parametrize("number", DOCUMENTED.numbers, ids=lambda number: number.id)
def test_documented_numbers_are_reproduced_in_the_way_they_were_printed(
    number: DocumentedNumber,
) -> None:
    assert number.agrees(number.exact(number.base))
    assert close(number.exact(), number.natural, 11)
    if number.base_10 is not None:
        assert close(number.exact(10), number.base_10, 11)


@pytest.mark.parametrize("result", [float("nan"), float("inf"), -float("inf"), 1e300])
@pytest.mark.parametrize("number", DOCUMENTED.numbers, ids=lambda number: number.id)
def test_what_is_no_ordinary_number_is_no_documented_one(number: DocumentedNumber, result: float) -> None:
    assert not number.agrees(result)


@pytest.mark.parametrize("number", [n for n in DOCUMENTED.numbers if n.erratum == 1], ids=lambda number: number.id)
def test_the_base_10_numbers_are_no_natural_ones_and_were_cut(number: DocumentedNumber) -> None:
    assert number.base == 10
    assert not number.agrees(number.exact())


@pytest.mark.parametrize(
    ("p", "gamma", "base", "expected"),
    [
        ("0.9", 2, None, "0.00105360515658"),
        ("0.9", 0, None, "0.105360515658"),
        ("0.9", 2, 10, "0.000457574905607"),
        ("0.99", 2, None, "0.00000100503358535"),
        ("0.99", 2, 10, "0.000000436480540245"),
        ("0.99", 0, 10, "0.00436480540245"),
        ("0.5", 0, None, "0.69314718056"),
    ],
)
def test_losses_of_probabilities_are_the_constants_of_the_write_ups(
    p: str, gamma: int, base: int | None, expected: str
) -> None:
    assert close(oracle.loss_from_probability(Fraction(p), 1, None, gamma, base), expected, 11)


@pytest.mark.parametrize("order", DOCUMENTED.orders, ids=lambda order: order.id)
def test_both_orders_of_erratum_3_hold_for_their_alpha(order: DocumentedOrder) -> None:
    losses = [
        oracle.loss_from_probability(example.probability, example.target, order.alpha, order.gamma)
        for example in order.largest_first
    ]
    assert losses == sorted(losses, reverse=True)
    assert len(set(map(float, losses))) == 4


def test_all_eight_errata_are_listed() -> None:
    assert [erratum.number for erratum in DOCUMENTED.errata] == list(range(1, 9))


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("target", [0, 1])
def test_at_zero_the_loss_and_its_derivatives_are_the_closed_expressions(gamma: float, target: int) -> None:
    with mp.workdps(80):
        ln2, g = mp.mpf(LN2), mp.mpf(gamma)
        factor = mp.mpf(2) ** -g
        sign = -1 if target else 1
        assert close(oracle.loss(0.0, target, None, gamma), factor * ln2, 60)
        slope = sign * factor * (g * ln2 + 1) / 2
        assert close(oracle.gradient(0.0, target, None, gamma), slope, 60)
        bend = factor * (g * (g - 1) * ln2 + 2 * g + 1) / 4
        assert close(oracle.second_derivative(0.0, target, None, gamma), bend, 60)


def test_at_zero_with_gamma_2_the_digits_are_the_known_ones() -> None:
    assert close(oracle.loss(-0.0, 1, None, 2), "0.17328679513998632735", 19)
    assert close(oracle.gradient(0.0, 1, None, 2), "-0.29828679513998632735", 19)
    assert close(oracle.second_derivative(0.0, 1, None, 2), "0.399143397569993", 14)


@pytest.mark.parametrize("x", [-700.0, -40.0, -1.0, 0.5, 37.0, 700.0])
def test_without_gamma_the_loss_is_cross_entropy(x: float) -> None:
    with mp.workdps(1000):
        e = mp.exp(-mp.mpf(x))
        assert close(oracle.loss(x, 1, None, 0), mp.log(1 + e), 60)
        assert close(oracle.gradient(x, 1, None, 0), -e / (1 + e), 60)
        assert close(oracle.second_derivative(x, 1, None, 0), e / (1 + e) ** 2, 60)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_infinite_logits_give_the_limits(gamma: float) -> None:
    inf = math.inf
    assert oracle.loss(inf, 1, None, gamma) == oracle.loss(-inf, 0, None, gamma) == 0
    assert oracle.loss(-inf, 1, None, gamma) == oracle.loss(inf, 0, 0.25, gamma) == mp.inf
    assert oracle.gradient(inf, 1, None, gamma) == oracle.gradient(-inf, 0, None, gamma) == 0
    assert oracle.gradient(-inf, 1, 0.25, gamma) == -0.25
    assert oracle.gradient(inf, 0, 0.25, gamma) == 0.75
    assert oracle.second_derivative(-inf, 1, None, gamma) == 0


def test_zeros_have_the_sign_that_they_are_approached_from() -> None:
    format = FORMATS["float32"]
    negative = format.sign_bit
    assert oracle.rounded("value", math.inf, 1, None, 2, format) == 0
    assert oracle.rounded("gradient", math.inf, 1, None, 2, format) == negative
    assert oracle.rounded("gradient", -math.inf, 0, None, 2, format) == 0
    assert oracle.rounded("gradient", 1.0, 1, 0, 2, format) == negative
    assert oracle.rounded("gradient", 1.0, 0, 1, 2, format) == 0
    assert oracle.rounded("gradient", 200.0, 1, None, 2, format) == negative
    assert oracle.rounded("second_derivative", -1000.0, 1, None, 2, format) == negative


def test_a_weight_of_zero_beats_an_infinite_loss_but_not_a_nan() -> None:
    assert oracle.loss(-math.inf, 1, 0.0, 2) == 0
    assert oracle.gradient(math.inf, 0, 1.0, 2) == 0
    for function in (oracle.loss, oracle.gradient, oracle.second_derivative):
        assert mp.isnan(function(math.nan, 1, 0.0, 2))


@pytest.mark.parametrize("gamma", [0, 0.5, 1, 2, 5])
def test_the_gradient_of_a_target_of_one_half_vanishes_at_zero(gamma: float) -> None:
    assert oracle.gradient(0.0, 0.5, 0.25, gamma) == 0
    assert oracle.gradient(2.0**-40, 0.5, 0.25, gamma) > 0


@pytest.mark.parametrize(("gamma", "root"), [(0.5, -4.018), (1, -3.098), (2, -2.790377480551759), (5, -2.939)])
def test_the_second_derivative_changes_sign_where_it_should(gamma: float, root: float) -> None:
    assert oracle.second_derivative(root - 1e-3, 1, None, gamma) < 0
    assert oracle.second_derivative(root + 1e-3, 1, None, gamma) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1.5, None, 2), "target must be in"),
        ((0.0, 1, 1.5, 2), "alpha must be None or in"),
        ((0.0, 1, None, -1), "gamma must be finite"),
        ((0.0, 1, None, math.inf), "gamma must be finite"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: tuple[float, float, float | None, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        oracle.loss(*arguments)


@pytest.mark.parametrize("dtype", FORMATS)
def test_oracle_and_arb_agree_at_random_points(dtype: str) -> None:
    format = FORMATS[dtype]
    source = random.Random(dtype)
    for _ in range(60):
        spread = source.choice([1, 10, 60, 300])
        x = exact_value(round_to_format(source.gauss(0, spread), format), format)
        target = source.choice([0, 1, 0, 1, 0.5, 0.3, 1e-6, 0.999])
        alpha = source.choice([None, 0.25, 1 / 3, 1.0])
        gamma = source.choice([0, 0.25, 0.5, 1, 2, 5, 2.7, 1e-300, 1e6, 1e300])
        for quantity in oracle.QUANTITIES:
            arguments = (quantity, x, target, alpha, gamma, format)
            assert oracle.rounded(*arguments) == certified_bits(*arguments), arguments


@pytest.mark.parametrize("x", [30001.0, 65504.0, -65503.0])
@pytest.mark.parametrize(
    ("target", "alpha", "gamma"),
    [(0, 0.25, 0), (0, 0.25, 2), (1, 0.75, 1e-6), (0.3, None, 2), (0.5, 0.25, 1), (1, None, 2)],
)
def test_the_limits_for_huge_logits_round_as_arb_does_without_limits(
    x: float, target: float, alpha: float | None, gamma: float
) -> None:
    for dtype, quantity in (("bfloat16", "value"), ("float16", "gradient"), ("float64", "value")):
        arguments = (quantity, x, target, alpha, gamma, FORMATS[dtype])
        assert oracle.rounded(*arguments) == certified_bits(*arguments), arguments


def test_a_tie_of_the_leading_term_is_decided_by_what_follows() -> None:
    # A bfloat16 logit times 3/4 has up to ten bits; where the last two are 10 it is a middle.
    format = FORMATS["bfloat16"]
    ties = 0
    for steps in range(16):
        x = Fraction((128 + steps) * 2**8)
        leading = x * Fraction(3, 4)
        above = oracle.rounded("value", x, 0, 0.25, 0, format)
        below = oracle.rounded("value", x, 0, 0.25, 2, format)
        assert above == certified_bits("value", x, 0, 0.25, 0, format)
        assert below == certified_bits("value", x, 0, 0.25, 2, format)
        ties += above != below
        if above != below:
            assert exact_value(below, format) < leading < exact_value(above, format)
    assert ties >= 4
