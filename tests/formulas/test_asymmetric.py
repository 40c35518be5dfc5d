"""The asymmetric loss and its derivatives, against the printed formula and its numerical derivatives."""

import math

import array_api_strict
import numpy as np
import pytest
from mpmath import mp

from focal_ref._formulas.asymmetric import ASYMMETRIC

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

SETTINGS = ((0.0, 4.0, 0.05), (0.0, 0.0, 0.0), (2.0, 3.0, 0.0), (1.0, 0.3, 0.2), (0.3, 0.0, 1e-8), (2.0, 1.5, 0.9))
every_setting = pytest.mark.parametrize(("gamma_positive", "gamma_negative", "clip"), SETTINGS)


def named(gamma_positive, gamma_negative, clip):
    """The hyper-parameters by name."""
    return {"gamma_positive": gamma_positive, "gamma_negative": gamma_negative, "clip": clip}


def formula(x, t, gamma_positive, gamma_negative, clip, **_):
    """As printed, with pm = max(p - clip, 0); 0^0 log(1) is 0."""
    p = 1 / (1 + mp.exp(-x))
    shifted = max(p - clip, 0)
    positive = -((1 - p) ** gamma_positive) * mp.log(p)
    negative = 0 if shifted == 0 else -(shifted**gamma_negative) * mp.log(1 - shifted)
    return t * positive + (1 - t) * negative


def scales(x, t, gamma_positive, gamma_negative, clip):
    """Sums of the magnitudes of terms; where p is close to clip, larger by what cancels in p - clip."""
    p = 1 / (1 + mp.exp(-x))
    q = 1 - p
    gamma, c = gamma_positive, -mp.log(p)
    positive = {
        "value": q**gamma * c,
        "gradient": q**gamma * (gamma * p * c + q),
        "second_derivative": focal_second_scale(x, gamma),
    }
    d = p - clip
    negative = dict.fromkeys(positive, 0) | {"gamma_negative": 0}
    if d > 0:
        gamma, ratio, share, loss = gamma_negative, p * q / d, q / (q + clip), -mp.log(q + clip)
        second = gamma * ratio * loss * (abs(gamma - 1) * ratio + abs(q - p)) + 2 * gamma * ratio * p * share
        second += p * share * (q + p * clip / (q + clip))
        power = d**gamma * (p + clip) / d
        negative = {
            "value": power * loss,
            "gradient": power * (gamma * ratio * loss + p * share),
            "second_derivative": power * second if clip else focal_second_scale(-x, gamma),
            "gamma_negative": power * loss * abs(mp.log(d)),
        }
    combined = {name: t * positive[name] + (1 - t) * negative[name] for name in positive}
    combined["gamma_negative"] = (1 - t) * negative["gamma_negative"]
    combined["targets"] = positive["value"] + negative["value"]
    return combined


def bounds(gamma_positive, gamma_negative, **_):
    """In units in the last place; the targets are factors."""
    names = ("value", "gradient", "second_derivative", "gamma_positive", "gamma_negative", "targets")
    return dict.fromkeys(names, 10.0 + 2.0 * max(gamma_positive, gamma_negative))


@every_setting
def test_random_points_are_within_their_bounds(gamma_positive, gamma_negative, clip):
    numbers = named(gamma_positive, gamma_negative, clip)
    assert_within(ASYMMETRIC, formula, scales, random_points(150, 1), numbers, bounds(**numbers))


@pytest.mark.parametrize("setting", [(0.3, 0.0, 0.0), (0.0, 0.3, 1e-200)])
def test_special_points_are_within_their_bounds(setting):
    numbers = named(*setting)
    assert_within(ASYMMETRIC, formula, scales, special_points(), numbers, bounds(**numbers))


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 4.0])
def test_close_to_the_clip_the_error_is_that_of_the_difference(gamma):
    for clip in (0.05, 0.6):
        offsets = np.concatenate([sign * 2.0 ** -np.linspace(4.0, 40.0, 20) for sign in (1.0, -1.0)])
        logits = math.log(clip / (1.0 - clip)) + offsets
        numbers = named(0.0, gamma, clip)
        assert_within(ASYMMETRIC, formula, scales, (logits, np.zeros(40)), numbers, bounds(**numbers))


def test_every_array_namespace_is_within_the_bounds():
    points = random_points(40, 3, spread=20.0)
    for clip in (0.0, 0.05):
        numbers = named(0.5, 2.5, clip)
        assert_within(ASYMMETRIC, formula, scales, points, numbers, bounds(**numbers), array_api_strict)


@pytest.mark.parametrize("setting", [(0.0, 4.0, 0.05), (0.5, 2.0, 0.0)])
def test_rounded_to_float32_the_nearest_number_comes_out(setting):
    points = random_points(100, 4, dtype=np.float32)
    assert_rounds_to_float32(ASYMMETRIC, formula, scales, points, named(*setting))


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize(("gamma", "above"), [(0.0, True), (2.0, False)])
def test_ties_of_float32_are_decided_by_what_float64_cannot_tell(gamma, above, side):
    # B (|x| + e (1 - gamma |x|)), with the weight B of the side on which the logit does not lie; at most e is added.
    target = 0.25 if side > 0.0 else 0.75
    numbers = named(gamma, gamma, 0.0)
    assert_ties_go_the_right_way(ASYMMETRIC, formula, target, numbers, 0.75, above, side)


@pytest.mark.parametrize("gamma", EXPONENTS)
@pytest.mark.parametrize("clip", [0.0, 5e-324, 1e-300, 0.05, 0.5, 1.0 - 2.0**-53, 1.0])
def test_no_finite_logit_gives_nan(gamma, clip):
    for numbers in (named(gamma, 2.0, clip), named(0.0, gamma, clip)):
        assert_never_nan(ASYMMETRIC, numbers)
        assert_nan_logits_give_nan(ASYMMETRIC, numbers)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 4.0])
def test_infinite_logits_give_the_limits_without_a_clip(gamma):
    logits, targets = np.tile([np.inf, -np.inf], 3), np.repeat([0.0, 0.25, 1.0], 2)
    found = evaluated(ASYMMETRIC, logits, targets, named(gamma, gamma, 0.0))
    assert found["value"].tolist() == [math.inf, 0.0, math.inf, math.inf, 0.0, math.inf]
    assert found["gradient"].tolist() == [1.0, 0.0, 0.75, -0.25, 0.0, -1.0]
    for name in ("second_derivative", "gamma_positive", "gamma_negative"):
        assert found[name].tolist() == [0.0] * 6
    assert found["targets"].tolist() == [-math.inf, math.inf] * 3


@pytest.mark.parametrize("gamma", [0.0, 0.3, 4.0])
def test_infinite_logits_give_the_limits_with_a_clip(gamma):
    logits, targets = np.tile([np.inf, -np.inf], 3), np.repeat([0.0, 0.25, 1.0], 2)
    found = evaluated(ASYMMETRIC, logits, targets, named(gamma, gamma, 0.25))
    largest = 0.75**gamma * math.log(4.0)
    assert found["value"] == pytest.approx([largest, 0.0, 0.75 * largest, math.inf, 0.0, math.inf], rel=1e-15, abs=0.0)
    assert found["gradient"].tolist() == [0.0, 0.0, 0.0, -0.25, 0.0, -1.0]
    for name in ("second_derivative", "gamma_positive"):
        assert found[name].tolist() == [0.0] * 6
    in_gamma = largest * math.log(0.75)
    assert found["gamma_negative"] == pytest.approx([in_gamma, 0.0, 0.75 * in_gamma, 0.0, 0.0, 0.0], rel=1e-15, abs=0.0)
    assert found["targets"] == pytest.approx([-largest, math.inf] * 3, rel=1e-15, abs=0.0)


@pytest.mark.parametrize("clip", [5e-324, 1e-310, 1e-20])
def test_a_tiny_clip_bounds_the_loss_of_a_negative(clip):
    found = evaluated(ASYMMETRIC, [1e5, np.inf], [0.0, 0.0], named(0.0, 4.0, clip))
    assert found["value"] == pytest.approx([-math.log(clip)] * 2, rel=1e-15, abs=0.0)


@pytest.mark.parametrize("gamma", EXPONENTS)
def test_negatives_below_the_clip_count_nothing(gamma):
    # 0.25 is the probability of -log(3), which as a float64 number is rounded down.
    with mp.workdps(30):
        assert mp.mpf(-math.log(3.0)) < -mp.log(3)
    logits = np.array([-np.inf, -1e30, -5.0, -math.log(3.0)])
    for name, result in evaluated(ASYMMETRIC, logits, np.zeros(4), named(0.0, gamma, 0.25)).items():
        if name != "targets":
            assert result.tolist() == [0.0] * 4, name


def test_at_a_clip_of_one_half_the_logit_zero_is_left_out():
    for name, result in evaluated(ASYMMETRIC, [0.0], [0.0], named(0.0, 0.0, 0.5)).items():
        if name != "targets":
            assert result.tolist() == [0.0], name
