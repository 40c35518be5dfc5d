"""The focal loss of a given probability and its derivatives, against the printed formula and numerical derivatives."""

import math

import array_api_strict
import numpy as np
import pytest
from mpmath import mp

from focal_ref._formulas.probability import PROBABILITY

from .test_quality import NAMESPACES, assert_rounds_to_float32, assert_within, evaluated

GAMMAS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 5.0)
EXTREME_SHARES = (0.0, 5e-324, 1e-310, 1e-300, 1e-150, 1e-16, 0.1, 0.25, 0.4999, 0.5, 0.75, 0.9, 1.0 - 2.0**-53, 1.0)
EXTREME_GAMMAS = (0.0, 5e-324, 1e-300, 1e-4, 0.5, 1.0 - 2.0**-53, 1.0, 2.0, 100.0, 1300.0, 1e5, 1e20, 1e300, 1.7e308)

every_namespace = pytest.mark.parametrize("xp", NAMESPACES.values(), ids=NAMESPACES)
every_gamma = pytest.mark.parametrize("gamma", GAMMAS)


def formula(p, t, gamma, branch):
    """As printed."""
    q = 1 - p
    return (p * (1 - t) + q * t) ** gamma * -(t * mp.log(p) + (1 - t) * mp.log(q))


def scales(p, t, gamma):
    """Sums of the magnitudes of terms; in d ce / dp = (p - t) / (p q) nothing cancels but the difference itself."""
    q = 1 - p
    u = p * (1 - t) + q * t
    ratio, slope, k = -(t * mp.log(p) + (1 - t) * mp.log(q)) / u, abs(p - t) / (p * q), abs(1 - 2 * t)
    first = gamma * k / u * (abs(gamma - 1) * k * ratio + 2 * slope)
    return {
        "gradient": u**gamma * (gamma * k * ratio + slope),
        "second_derivative": u**gamma * (first + t / p**2 + (1 - t) / q**2),
    }


def bounds(gamma):
    """In units in the last place."""
    return dict.fromkeys(("value", "gradient", "second_derivative", "gamma", "targets"), 8.0 + 2.0 * gamma)


def random_points(count, seed, dtype=np.float64):
    """Probabilities next to 0, 1/2 and 1 too; targets hard, between, next to the edges and next to the probability."""
    generator = np.random.default_rng(seed)
    p = generator.random(count)
    p[::5] = 10.0 ** -generator.uniform(0.0, 30.0, p[::5].size)
    p[1::5] = 1.0 - 2.0 ** -generator.uniform(1.0, 22.0, p[1::5].size)
    p[2::5] = 0.5 + generator.normal(0.0, 1e-3, p[2::5].size)
    t = generator.random(count)
    t[::4] = generator.integers(0, 2, t[::4].size)
    t[1::8] = 10.0 ** -generator.uniform(0.0, 30.0, t[1::8].size)
    t[3::8] = np.clip(p[3::8] * generator.uniform(0.9, 1.1, t[3::8].size), 0.0, 1.0)
    return tuple(array.astype(dtype).astype(np.float64) for array in (p, t))


@every_gamma
def test_random_points_are_within_their_bounds(gamma):
    assert_within(PROBABILITY, formula, scales, random_points(160, 1), {"gamma": gamma}, bounds(gamma))


@every_gamma
def test_the_neighbours_of_certainty_are_within_their_bounds(gamma):
    p, t = np.meshgrid([1.0 - 2.0**-53, 1.0 - 2.0**-52, 2.0**-53, 1e-100], [0.0, 1.0, 0.3, 1e-16, 1.0 - 2.0**-53])
    points = p.reshape(-1), t.reshape(-1)
    assert_within(PROBABILITY, formula, scales, points, {"gamma": gamma}, bounds(gamma))


@pytest.mark.parametrize("gamma", [0.0, 0.25, 1.0, 2.0])
def test_subnormal_probabilities_are_within_their_bounds(gamma):
    p, t = np.meshgrid([2.0**-1022, 1e-310, 5e-324], [0.0, 1.0, 0.3])
    # With a target of the same size ce is subnormal too.
    points = np.append(p, [35e-324, 1e-310]), np.append(t, [30e-324, 3e-311])
    # 1 / p overflows below 5.6e-309, 1 / p^2 far above.
    found = evaluated(PROBABILITY, *points, {"gamma": gamma})
    overflowing = (points[1] > 0.1) & (points[0] < 1e-308)
    assert np.all(found["gradient"][overflowing & (points[1] == 1.0)] == -math.inf)
    assert np.all(found["second_derivative"][overflowing] == math.inf)
    points = tuple(array[~overflowing] for array in points)
    ulps = bounds(gamma) | {"second_derivative": math.inf}
    assert_within(PROBABILITY, formula, scales, points, {"gamma": gamma}, ulps)


def test_a_large_exponent_finds_the_base_accurate_next_to_one_half():
    generator = np.random.default_rng(5)
    points = 0.5 + generator.normal(0.0, 1e-2, 100), 1.0 - 10.0 ** -generator.uniform(2.0, 5.0, 100)
    assert_within(PROBABILITY, formula, scales, points, {"gamma": 50.0}, bounds(50.0))


def test_every_array_namespace_is_within_the_bounds():
    for gamma in (0.0, 0.5, 2.0):
        points = random_points(40, 2)
        assert_within(PROBABILITY, formula, scales, points, {"gamma": gamma}, bounds(gamma), array_api_strict)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_rounded_to_float32_the_nearest_number_comes_out(gamma):
    p, t = random_points(160, 3, np.float32)
    # 1 / p^2 overflows float32 below 5e-20.
    points = p[(p > 1e-19) & (p < 1.0)], t[(p > 1e-19) & (p < 1.0)]
    assert points[0].size >= 130
    assert_rounds_to_float32(PROBABILITY, formula, scales, points, {"gamma": gamma})


@every_namespace
@pytest.mark.parametrize(("gamma", "name"), [(0.0, "value"), (1.0, "gradient")])
def test_ties_of_float32_go_up_for_a_small_probability_of_a_negative(xp, gamma, name):
    # -log(1 - p) = p + p^2 / 2 + ..., and with gamma = 1 the derivative is 2p + 3 p^2 / 2 + ...: odd numbers of 25 bits
    # lie half way between two float32 numbers.
    p = np.ldexp(2.0 * np.random.default_rng(4).integers(1 << 23, 1 << 24, 300) + 1.0, -90)
    ties = p if name == "value" else 2.0 * p
    expected = np.nextafter(ties, np.inf).astype(np.float32)
    assert np.count_nonzero(expected != ties.astype(np.float32)) > 100
    found = evaluated(PROBABILITY, p, np.zeros(300), {"gamma": gamma}, xp, narrowed=True)[name]
    np.testing.assert_array_equal(found.astype(np.float32), expected)


# Certain probabilities

AGREED_SECOND = {0.0: 1.0, 0.25: math.inf, 0.5: math.inf, 1.0: 2.0, 1.5: 0.0, 2.0: 0.0, 2.5: 0.0, 5.0: 0.0}
"""gamma (gamma + 1) u^(gamma-1) for u -> 0, and 1 / p^2 of the cross entropy."""


@every_namespace
@every_gamma
def test_a_certain_probability_that_is_right_gives_the_limits(xp, gamma):
    found = evaluated(PROBABILITY, [1.0, 0.0], [1.0, 0.0], {"gamma": gamma}, xp)
    assert found["value"].tolist() == [0.0, 0.0]
    assert found["gradient"].tolist() == ([-1.0, 1.0] if gamma == 0.0 else [0.0, 0.0])
    assert found["second_derivative"].tolist() == [AGREED_SECOND[gamma]] * 2
    assert found["gamma"].tolist() == [0.0, 0.0]
    assert found["targets"].tolist() == ([-math.inf, math.inf] if gamma == 0.0 else [0.0, 0.0])


@every_namespace
@every_gamma
def test_a_certain_probability_that_is_wrong_costs_infinitely_much(xp, gamma):
    found = evaluated(PROBABILITY, [0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.25, 0.25], {"gamma": gamma}, xp)
    assert found["value"].tolist() == [math.inf] * 4
    assert found["gradient"].tolist() == [-math.inf, math.inf, -math.inf, math.inf]
    assert found["second_derivative"].tolist() == [math.inf] * 4
    # (1 - p)^gamma (-log p) log(1 - p) is p log p for p -> 0; a soft target leaves log(u) away from 0.
    assert found["gamma"].tolist() == [0.0, 0.0, -math.inf, -math.inf]
    assert found["targets"].tolist() == [math.inf, -math.inf, math.inf, -math.inf]


@every_namespace
def test_no_probability_gives_nan_whatever_target_and_gamma(xp):
    p, t = (axis.reshape(-1) for axis in np.meshgrid(EXTREME_SHARES, EXTREME_SHARES))
    for gamma in EXTREME_GAMMAS:
        for narrowed in (False, True):
            found = evaluated(PROBABILITY, p, t, {"gamma": gamma}, xp, narrowed=narrowed)
            for name, result in found.items():
                wrong = np.isnan(result)
                assert not wrong.any(), (name, gamma, p[wrong][:5], t[wrong][:5])
            assert np.all(found["value"] >= 0.0)
            assert np.all(found["gamma"] <= 0.0)
            assert np.all(found["targets"] * (1.0 - 2.0 * p) >= 0.0)


@every_gamma
def test_nan_probabilities_give_nan(gamma):
    targets = np.array(EXTREME_SHARES)
    for name, result in evaluated(PROBABILITY, np.full(targets.size, np.nan), targets, {"gamma": gamma}).items():
        assert np.isnan(result).all(), name


@pytest.mark.parametrize("gamma", [1e10, 1e20])
def test_next_to_one_a_huge_exponent_sees_what_rounding_takes_from_the_base(gamma):
    # (1 - p)^gamma = exp(-gamma p), where 1 - p is rounded to 1 in float64.
    p = np.array([1.0, 10.0, 100.0]) / gamma
    found = evaluated(PROBABILITY, p, np.ones(3), {"gamma": gamma})["value"]
    assert found == pytest.approx((np.exp(-gamma * p) * -np.log(p)).tolist(), rel=1e-7)
