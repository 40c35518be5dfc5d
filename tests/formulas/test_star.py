"""FL* and its derivatives, against the printed formula and its numerical derivatives."""

import math
from fractions import Fraction

import array_api_strict
import numpy as np
import pytest
from mpmath import mp, mpf

from focal_ref._formulas.star import STAR

from .test_quality import (
    NAMESPACES,
    assert_nan_logits_give_nan,
    assert_rounds_to_float32,
    assert_within,
    error_in_ulps,
    evaluated,
)

NUMBERS = [(0.01, 1.0), (0.25, 0.0), (0.5, -1.0), (1.0, 0.3), (1.5, 100.0), (2.0, 1.0), (2.5, -30.0), (5.0, 5.0)]
EXTREME_MAGNITUDES = (0.0, 5e-324, 1e-300, 1e-8, 0.7, 37.0, 300.0, 745.0, 1e4, 1e30, 1e145, 1e150, 1e200, 1.7e308)
EXTREME_GAMMAS = (5e-324, 1e-300, 1e-150, 1e-90, 0.25, 2.0, 1e3, 1e145, 1e150, 1e300, 1.7e308)
EXTREME_BETAS = (0.0, 1.0, 5e-324, 700.0, 1e10, 1e150, 1e200, 1.7976931348623157e308)

every_namespace = pytest.mark.parametrize("xp", NAMESPACES.values(), ids=NAMESPACES)
every_pair = pytest.mark.parametrize(("gamma", "beta"), NUMBERS)


def formula(x, t, gamma, beta, branch):
    """As printed: -log(p_t*) / gamma with p_t* = sigmoid(gamma s + beta)."""
    margin = x if branch == 1.0 else -x
    return mp.log1p(mp.exp(-(gamma * margin + beta))) / gamma


def scales(x, t, gamma, beta):
    """Sum of the magnitudes of terms of the one derivative in which they have different signs."""
    product = gamma * (x if t == 1 else -x)
    u = product + beta
    e = mp.exp(-abs(u))
    if u > 0:
        terms = mp.log1p(e) + abs(product) * e / (1 + e)
    else:
        terms = abs(u) * e / (1 + e) + mp.log1p(e) + abs(beta) / (1 + e)
    return {"gamma": terms / gamma**2}


BOUNDS = dict.fromkeys(("value", "gradient", "gamma", "beta"), 4.0) | {"second_derivative": 5.0}
"""In units in the last place."""


def points(gamma, beta, count, seed, dtype=np.float64):
    """Logits of both classes, of ordinary size, around t = 0, and up to where float64 underflows."""
    generator = np.random.default_rng(seed)
    part = count // 3
    logits = np.concatenate(
        [
            generator.normal(0.0, 6.0, part),
            (-beta + generator.normal(0.0, 2.0, part)) / gamma,
            generator.uniform(-740.0, 740.0, part) / max(gamma, 1.0),
        ]
    )
    return logits.astype(dtype).astype(np.float64), generator.integers(0, 2, logits.size).astype(np.float64)


@every_pair
def test_random_points_are_within_their_bounds(gamma, beta):
    numbers = {"gamma": gamma, "beta": beta}
    assert_within(STAR, formula, scales, points(gamma, beta, 48, 1), numbers, BOUNDS)


@pytest.mark.parametrize("gamma", [1.0, 2.0, 100.0])
def test_subnormal_exponentials_cost_no_digits(gamma):
    # t from 700 to 745 on the one side and from -700 to -745 on the other; beta = 0 leaves nothing but the exponential
    # in the derivative in gamma.
    logits = np.linspace(700.0, 745.0, 8) / gamma
    for sign in (1.0, -1.0):
        grid = sign * logits, np.ones(8)
        assert_within(STAR, formula, scales, grid, {"gamma": gamma, "beta": 0.0}, BOUNDS)


def test_a_gamma_that_divides_a_subnormal_exponential_costs_no_digits():
    gamma, t = 2.0**-20, np.linspace(700.0, 745.0, 20)
    found = evaluated(STAR, t / gamma, np.ones(20), {"gamma": gamma, "beta": 0.0})
    with mp.workdps(60):
        for index, argument in enumerate(t / gamma * gamma):
            # Up to terms in exp(-2t).
            e, g = mp.exp(-mpf(float(argument))), mpf(gamma)
            exact = {"value": e / g, "gamma": -(1 + mpf(float(argument))) * e / g**2, "beta": -e / g}
            for name, number in exact.items():
                assert error_in_ulps(found[name][index], number, number) <= 4.0, (name, argument)


def test_every_array_namespace_is_within_the_bounds():
    for gamma, beta in ((0.5, -1.0), (2.0, 1.0)):
        numbers = {"gamma": gamma, "beta": beta}
        assert_within(STAR, formula, scales, points(gamma, beta, 40, 2), numbers, BOUNDS, array_api_strict)


@pytest.mark.parametrize(("gamma", "beta"), [(0.5, 3.0), (1.5, 1.0), (2.0, 1.0)])
def test_rounded_to_float32_the_nearest_number_comes_out(gamma, beta):
    sample = points(gamma, beta, 120, 3, np.float32)
    sample = tuple(array[np.abs(sample[0]) < 100.0 / gamma] for array in sample)
    assert_rounds_to_float32(STAR, formula, scales, sample, {"gamma": gamma, "beta": beta})


@every_namespace
def test_ties_of_float32_go_up_since_softplus_is_a_little_more_than_its_argument(xp):
    # With gamma = 2 and beta = 2^-18, |t| / gamma = |x| - 2^-19 lies half way between two float32 numbers of [32, 64).
    logits = -np.ldexp(np.random.default_rng(4).integers((1 << 23) + 1, 1 << 24, 300).astype(np.float64), -18)
    ties = -logits - 2.0**-19
    assert np.array_equal(np.abs(ties - ties.astype(np.float32)), np.full(300, 2.0**-19))
    expected = np.nextafter(ties, np.inf).astype(np.float32)
    assert np.count_nonzero(expected != ties.astype(np.float32)) > 100
    with mp.workdps(100):
        assert formula(mpf(float(logits[0])), 1, 2, mpf(2) ** -18, 1.0) > mpf(float(ties[0]))
    for signed, target in ((logits, 1.0), (-logits, 0.0)):
        numbers = {"gamma": 2.0, "beta": 2.0**-18}
        found = evaluated(STAR, signed, np.full(300, target), numbers, xp, narrowed=True)["value"]
        np.testing.assert_array_equal(found.astype(np.float32), expected)


@every_namespace
@every_pair
def test_infinite_logits_give_the_limits(xp, gamma, beta):
    found = evaluated(
        STAR, [np.inf, -np.inf, np.inf, -np.inf], [1.0, 0.0, 0.0, 1.0], {"gamma": gamma, "beta": beta}, xp
    )
    assert found["value"].tolist() == [0.0, 0.0, math.inf, math.inf]
    assert found["gradient"].tolist() == [0.0, 0.0, 1.0, -1.0]
    assert np.signbit(found["gradient"]).tolist() == [True, False, False, True]
    assert found["second_derivative"].tolist() == [0.0] * 4
    # For t << 0 the loss is -s - beta / gamma.
    assert found["beta"].tolist() == [0.0, 0.0, -1.0 / gamma, -1.0 / gamma]
    assert found["gamma"] == pytest.approx([0.0, 0.0, beta / gamma**2, beta / gamma**2], rel=1e-15)


@pytest.mark.parametrize(
    ("gamma", "margin", "beta", "value"),
    [
        (1e300, -1e20, 1.0, 1e20),
        (1e300, -1e308, -5.0, 1e308),
        (1e308, -1e-3, 1e300, 1e-3 - 1e-8),
        (1e308, -1e-303, 0.0, 1e-303),
        (2.0, -1e308, -1e308, 1.5e308),
        (2.0, -1e308, 1e308, 0.5e308),
        (1e-300, -1e305, 1.0, 1e305 - 1e300),
        (1e300, 1e308, -1e308, 0.0),
        (2.0, -1.7e308, -1.7e308, math.inf),
        (1.0, 5.0, -1.7e308, 1.7e308),
    ],
)
def test_where_gamma_s_or_beta_overflow_the_loss_does_not(gamma, margin, beta, value):
    found = evaluated(STAR, [margin, -margin], [1.0, 0.0], {"gamma": gamma, "beta": beta})
    assert found["value"] == pytest.approx([value, value], rel=4e-16)
    slope = 0.0 if value == 0.0 else 1.0
    assert found["gradient"].tolist() == [-slope, slope]
    assert found["second_derivative"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("margin", [1.1, 3.1, 12.7])
def test_beta_and_gamma_s_that_cancel_leave_t_exact(margin):
    # All of t is the error of the rounded product.
    gamma = 3e16
    beta = -gamma * margin
    t = float(Fraction(gamma) * Fraction(margin) + Fraction(beta))
    assert 1.0 < abs(t) < 30.0
    numbers = {"gamma": gamma, "beta": beta}
    found = evaluated(STAR, [margin], [1.0], numbers)
    with mp.workdps(60):
        exact = formula(mpf(margin), 1, mpf(gamma), mpf(beta), 1.0)
    assert error_in_ulps(found["value"][0], exact, exact) <= 4.0


def test_a_tiny_gamma_gives_the_infinity_of_the_larger_term():
    # t = -601: of H - beta g = 602 exp(-601) - 1 the second term is left, and both overflow when divided by gamma^2.
    found = evaluated(STAR, [-6.02e292], [1.0], {"gamma": 1e-290, "beta": 1.0})
    assert found["gamma"][0] == math.inf


@every_namespace
def test_no_finite_logit_gives_nan_whatever_gamma_and_beta(xp):
    logits = np.array([sign * magnitude for sign in (-1.0, 1.0) for magnitude in EXTREME_MAGNITUDES])
    targets = np.tile([0.0, 1.0], logits.size)
    for gamma in EXTREME_GAMMAS:
        for beta in (*EXTREME_BETAS, *(-beta for beta in EXTREME_BETAS)):
            found = evaluated(STAR, np.repeat(logits, 2), targets, {"gamma": gamma, "beta": beta}, xp, narrowed=True)
            for name, result in found.items():
                assert not np.isnan(result).any(), (name, gamma, beta)
            assert np.all(found["value"] >= 0.0)
            assert np.all(found["gradient"] * (1.0 - 2.0 * targets) >= 0.0)


@every_pair
def test_nan_logits_give_nan(gamma, beta):
    assert_nan_logits_give_nan(STAR, {"gamma": gamma, "beta": beta})
