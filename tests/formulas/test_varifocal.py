"""The varifocal loss and its derivatives, against the printed formula and its numerical derivatives."""

import math

import array_api_strict
import numpy as np
import pytest
from mpmath import mp

from focal_ref._formulas.varifocal import VARIFOCAL

from .test_quality import (
    EXPONENTS,
    assert_nan_logits_give_nan,
    assert_never_nan,
    assert_rounds_to_float32,
    assert_ties_go_the_right_way,
    assert_within,
    evaluated,
    random_points,
    special_points,
)

ALPHA = 0.7
GAMMAS = (0.0, 0.3, 1.0, 2.0, 5.0)
every_gamma = pytest.mark.parametrize("gamma", GAMMAS)


def focal_second_scale(margin, gamma):
    """Sum of the magnitudes of the terms of the focal loss's second derivative."""
    p = 1 / (1 + mp.exp(-margin))
    q = 1 - p
    return q**gamma * p * (gamma * -mp.log(p) * (gamma * p + q) + (2 * gamma + 1) * q)


def formula(x, t, alpha, gamma, branch):
    """As printed."""
    p = 1 / (1 + mp.exp(-x))
    if branch == 0.0:
        return -alpha * p**gamma * mp.log(1 - p)
    return -t * (t * mp.log(p) + (1 - t) * mp.log(1 - p))


def scales(x, t, alpha, gamma):
    """Sums of the magnitudes of terms, for the quantities where terms have different signs."""
    if t == 0:
        return {"second_derivative": alpha * focal_second_scale(-x, gamma)}
    p = 1 / (1 + mp.exp(-x))
    coefficient = 1 - 2 * t if x >= 0 else 2 * t
    return {
        "gradient": t * ((1 - t) * p + t * (1 - p)),
        "targets": mp.log1p(mp.exp(-abs(x))) + abs(coefficient * x),
    }


def bounds(gamma):
    """In units in the last place; alpha and the target are factors."""
    return dict.fromkeys(("value", "gradient", "second_derivative", "alpha", "gamma", "targets"), 10.0 + 2.0 * gamma)


@every_gamma
def test_random_points_are_within_their_bounds(gamma):
    assert_within(VARIFOCAL, formula, scales, random_points(150, 1), {"alpha": ALPHA, "gamma": gamma}, bounds(gamma))


def test_special_points_are_within_their_bounds():
    assert_within(VARIFOCAL, formula, scales, special_points(), {"alpha": ALPHA, "gamma": 0.3}, bounds(0.3))


def test_every_array_namespace_is_within_the_bounds():
    numbers = {"alpha": ALPHA, "gamma": 1.5}
    points = random_points(40, 3, spread=20.0)
    assert_within(VARIFOCAL, formula, scales, points, numbers, bounds(1.5), array_api_strict)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_rounded_to_float32_the_nearest_number_comes_out(gamma):
    points = random_points(100, 4, dtype=np.float32)
    assert_rounds_to_float32(VARIFOCAL, formula, scales, points, {"alpha": 0.75, "gamma": gamma})


def test_ties_of_float32_are_decided_by_what_float64_cannot_tell():
    # t (t |x| + e) for x << 0.
    assert_ties_go_the_right_way(VARIFOCAL, formula, 0.75, {"alpha": 0.75, "gamma": 2.0}, 0.5625, above=True)


@pytest.mark.parametrize("gamma", EXPONENTS)
@pytest.mark.parametrize("alpha", [0.0, 0.75, 10.0])
def test_no_finite_logit_gives_nan(alpha, gamma):
    assert_never_nan(VARIFOCAL, {"alpha": alpha, "gamma": gamma})
    assert_nan_logits_give_nan(VARIFOCAL, {"alpha": alpha, "gamma": gamma})


@every_gamma
def test_infinite_logits_give_the_limits(gamma):
    logits = np.tile([np.inf, -np.inf], 4)
    targets = np.repeat([0.0, 0.25, 0.5, 1.0], 2)
    found = evaluated(VARIFOCAL, logits, targets, {"alpha": ALPHA, "gamma": gamma})
    assert found["value"].tolist() == [math.inf, 0.0, math.inf, math.inf, math.inf, math.inf, 0.0, math.inf]
    assert found["gradient"].tolist() == [ALPHA, 0.0, 0.25 * 0.75, -0.25 * 0.25, 0.25, -0.25, 0.0, -1.0]
    assert found["second_derivative"].tolist() == [0.0] * 8
    assert found["alpha"].tolist() == [math.inf] + [0.0] * 7
    assert found["gamma"].tolist() == [0.0] * 8
    # ce - t x = (1 - 2t) x for a large x, and -2t x for a small one.
    assert found["targets"].tolist() == [0.0, 0.0, math.inf, math.inf, 0.0, math.inf, -math.inf, math.inf]


def test_an_alpha_of_zero_gives_zero_also_where_the_loss_is_infinite():
    found = evaluated(VARIFOCAL, [np.inf, 1e308, 3.0], [0.0, 0.0, 0.0], {"alpha": 0.0, "gamma": 2.0})
    for name in ("value", "gradient", "second_derivative", "gamma"):
        assert found[name].tolist() == [0.0, 0.0, 0.0]


def test_the_numbers_do_nothing_for_positives_and_the_target_nothing_for_negatives():
    logits = np.linspace(-5.0, 5.0, 11)
    positives = [
        evaluated(VARIFOCAL, logits, np.full(11, 0.4), numbers)
        for numbers in ({"alpha": 0.1, "gamma": 0.0}, {"alpha": 3.0, "gamma": 4.0})
    ]
    for name in positives[0]:
        np.testing.assert_array_equal(positives[0][name], positives[1][name])
    for name in ("alpha", "gamma"):
        assert not positives[0][name].any()
    assert not evaluated(VARIFOCAL, logits, np.zeros(11), {"alpha": 0.5, "gamma": 2.0})["targets"].any()
