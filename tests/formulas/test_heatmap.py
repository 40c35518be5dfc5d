"""The heatmap focal loss and its derivatives, against the printed formula and its numerical derivatives."""

import math

import array_api_strict
import numpy as np
import pytest
from mpmath import mp

from focal_ref._formulas.heatmap import HEATMAP

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
from .test_varifocal import focal_second_scale

NUMBERS = ((0.0, 0.0), (2.0, 4.0), (0.3, 0.5), (1.0, 3.0), (5.0, 1.0), (2.0, 20.0))
every_pair = pytest.mark.parametrize(("gamma", "beta"), NUMBERS)


def formula(x, t, gamma, beta, branch):
    """As printed."""
    p = 1 / (1 + mp.exp(-x))
    if branch == 1.0:
        return -((1 - p) ** gamma) * mp.log(p)
    return -((1 - t) ** beta) * p**gamma * mp.log(1 - p)


def scales(x, t, gamma, beta):
    """Sum of the magnitudes of terms of the second derivative; nothing else has terms of different signs."""
    second = focal_second_scale(x, gamma) if t == 1 else (1 - t) ** beta * focal_second_scale(-x, gamma)
    return {"second_derivative": second}


def bounds(gamma, beta):
    """In units in the last place; the weight of a negative is a factor."""
    names = ("value", "gradient", "second_derivative", "gamma", "beta", "targets")
    return dict.fromkeys(names, 10.0 + 2.0 * gamma + 2.0 * beta)


@every_pair
def test_random_points_are_within_their_bounds(gamma, beta):
    numbers = {"gamma": gamma, "beta": beta}
    assert_within(HEATMAP, formula, scales, random_points(150, 1), numbers, bounds(gamma, beta))


@pytest.mark.parametrize(("gamma", "beta"), [(0.0, 0.0), (0.0, 0.3)])
def test_special_points_are_within_their_bounds(gamma, beta):
    numbers = {"gamma": gamma, "beta": beta}
    assert_within(HEATMAP, formula, scales, special_points(), numbers, bounds(gamma, beta))


def test_every_array_namespace_is_within_the_bounds():
    numbers = {"gamma": 1.5, "beta": 2.5}
    points = random_points(40, 3, spread=20.0)
    assert_within(HEATMAP, formula, scales, points, numbers, bounds(1.5, 2.5), array_api_strict)


@pytest.mark.parametrize(("gamma", "beta"), [(0.0, 0.0), (0.5, 0.3), (2.0, 4.0)])
def test_rounded_to_float32_the_nearest_number_comes_out(gamma, beta):
    points = random_points(100, 4, dtype=np.float32)
    assert_rounds_to_float32(HEATMAP, formula, scales, points, {"gamma": gamma, "beta": beta})


@pytest.mark.parametrize(("gamma", "above"), [(0.0, True), (2.0, False)])
@pytest.mark.parametrize(("target", "beta", "ratio"), [(0.25, 2.0, 0.5625), (0.125, 1.0, 0.875)])
def test_ties_of_float32_are_decided_by_what_float64_cannot_tell(target, beta, ratio, gamma, above):
    # (1 - t)^beta (x + e (1 - gamma x)) for x >> 0.
    numbers = {"gamma": gamma, "beta": beta}
    assert_ties_go_the_right_way(HEATMAP, formula, target, numbers, ratio, above, side=1.0)


@pytest.mark.parametrize("gamma", EXPONENTS)
@pytest.mark.parametrize("beta", EXPONENTS)
def test_no_finite_logit_gives_nan(gamma, beta):
    assert_never_nan(HEATMAP, {"gamma": gamma, "beta": beta})
    assert_nan_logits_give_nan(HEATMAP, {"gamma": gamma, "beta": beta})


@pytest.mark.parametrize("gamma", [0.0, 0.3, 2.0])
def test_infinite_logits_give_the_limits(gamma):
    logits = np.tile([np.inf, -np.inf], 3)
    targets = np.repeat([0.0, 0.75, 1.0], 2)
    found = evaluated(HEATMAP, logits, targets, {"gamma": gamma, "beta": 2.0})
    assert found["value"].tolist() == [math.inf, 0.0, math.inf, 0.0, 0.0, math.inf]
    assert found["gradient"].tolist() == [1.0, 0.0, 0.0625, 0.0, 0.0, -1.0]
    assert found["second_derivative"].tolist() == [0.0] * 6
    assert found["gamma"].tolist() == [0.0] * 6
    assert found["beta"].tolist() == [0.0, 0.0, -math.inf, 0.0, 0.0, 0.0]
    assert found["targets"].tolist() == [-math.inf, 0.0, -math.inf, 0.0, 0.0, 0.0]


def test_a_weight_that_underflows_gives_zero_also_where_the_loss_is_infinite():
    # (1/2)^1200 = 5.8e-362.
    found = evaluated(HEATMAP, [np.inf, 3.0], [0.5, 0.5], {"gamma": 2.0, "beta": 1200.0})
    for name, result in found.items():
        assert result.tolist() == [0.0, 0.0], name


def test_a_large_logit_makes_up_for_a_weight_that_underflows():
    # (1/2)^1100 is below the smallest number, and 1e300 times it is not.
    found = evaluated(HEATMAP, [1e300], [0.5], {"gamma": 2.0, "beta": 1100.0})
    loss = mp.mpf(2) ** -1100 * mp.mpf(10) ** 300
    exact = {"value": loss, "beta": loss * math.log(0.5), "targets": -2200 * loss}
    for name, number in exact.items():
        assert found[name][0] == pytest.approx(float(number), rel=1e-15, abs=0.0), name


def test_an_exponent_of_zero_weighs_all_negatives_alike():
    targets = np.array([0.0, 5e-324, 0.3, 1.0 - 2.0**-53])
    for logit in (2.0, np.inf):
        found = evaluated(HEATMAP, np.full(4, logit), targets, {"gamma": 2.0, "beta": 0.0})
        assert np.unique(found["value"]).size == 1
        assert not found["targets"].any()


def test_a_target_too_small_to_change_one_minus_itself_counts_with_a_large_exponent():
    # (1 - 1e-20)^1e20 = 1/e.
    found = evaluated(HEATMAP, [0.0], [1e-20], {"gamma": 0.0, "beta": 1e20})
    assert found["value"][0] == pytest.approx(math.log(2.0) / math.e, rel=1e-15, abs=0.0)
