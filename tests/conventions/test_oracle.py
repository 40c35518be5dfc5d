"""The oracle by conventions against the printed formulas in mpmath, differentiated numerically, and against vectors."""

import math
from functools import partial

import numpy as np
import pytest
from mpmath import mp

from focal_ref.conformance.conventions.axes import AXES, Value
from focal_ref.conformance.conventions.oracle import denominator, exact_by_conventions
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.targets import Call

FORMAT = FORMATS["float64"]
FOCAL = dict(load_profile("optax").conventions)
SOFTMAX = FOCAL | {"multi_class": "softmax", "alpha": "uniform", "soft_targets": "mixture"}
EPSILON = 1e-3
LOGITS = (-9.0, -7.5, -3.0, -0.5, 0.25, 2.0, 6.0, 7.5, 9.0)
TARGETS = (0.0, 0.3, 0.75, 1.0)
DIGITS = 60


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def clip(p, epsilon=EPSILON):
    return min(max(p, mp.mpf(epsilon)), 1 - mp.mpf(epsilon))


def weight(meaning, alpha, t):
    """alpha_t as it is printed."""
    return {
        "pos/1-pos": alpha * t + (1 - alpha) * (1 - t),
        "pos-only": alpha * t + (1 - t),
        "neg-only": t + alpha * (1 - t),
        "uniform": alpha,
        "none": mp.mpf(1),
    }[meaning]


def focal(x, t, *, alpha, gamma, meaning="pos/1-pos", rule="blended", clipping="none", given=False):
    """The focal loss of one element, as the conventions print it."""
    t, p = mp.mpf(t), x if given else sigmoid(x)
    if clipping == "probability":
        p = clip(p)
    logs = {
        "none": lambda: (mp.log(p), mp.log(1 - p)),
        "probability": lambda: (mp.log(p), mp.log(1 - p)),
        "cross-entropy": lambda: (mp.log(clip(p)), mp.log(1 - clip(p))),
        "logarithm": lambda: (mp.log(max(p, mp.mpf(EPSILON))), mp.log(max(1 - p, mp.mpf(EPSILON)))),
        "added": lambda: (mp.log(p + mp.mpf(EPSILON)), mp.log(1 - p + mp.mpf(EPSILON))),
    }
    log_p, log_q = logs[clipping]()
    ce = -t * log_p - (1 - t) * log_q
    if rule == "mixture":
        positive = weight(meaning, alpha, mp.mpf(1)) * (1 - p) ** gamma * -log_p
        return t * positive + (1 - t) * weight(meaning, alpha, mp.mpf(0)) * p**gamma * -log_q
    if rule == "distance":
        return weight(meaning, alpha, t) * abs(t - p) ** gamma * ce
    p_t = p * t + (1 - p) * (1 - t)
    return weight(meaning, alpha, t) * (1 - p_t) ** gamma * ce


def quality(x, t, *, beta):
    p, t = sigmoid(x), mp.mpf(t)
    return abs(t - p) ** beta * (-t * mp.log(p) - (1 - t) * mp.log(1 - p))


def varifocal(x, t, *, alpha, gamma):
    p, t = sigmoid(x), mp.mpf(t)
    ce = -t * mp.log(p) - (1 - t) * mp.log(1 - p)
    return t * ce if t > 0 else alpha * p**gamma * ce


def asymmetric(x, t, *, gamma_positive, gamma_negative, clip):
    p, t = sigmoid(x), mp.mpf(t)
    m = max(p - clip, mp.mpf(0))
    negative = m**gamma_negative * -mp.log(1 - m) if m else mp.mpf(0)
    return t * (1 - p) ** gamma_positive * -mp.log(p) + (1 - t) * negative


def heatmap(x, t, *, gamma, beta):
    p, t = sigmoid(x), mp.mpf(t)
    if t == 1:
        return (1 - p) ** gamma * -mp.log(p)
    return (1 - t) ** beta * p**gamma * -mp.log(1 - p)


def star(x, t, *, alpha, gamma, beta):
    t = mp.mpf(t)
    s = (2 * t - 1) * x
    return -weight("pos/1-pos", alpha, t) * mp.log(sigmoid(gamma * s + beta)) / gamma


def number(exact, index):
    """The unrounded result."""
    unit = mp.mpf(2) ** int(exact.ulp_exponent[index])
    return (mp.mpf(float(exact.high[index])) + mp.mpf(float(exact.low[index]))) * unit


def check(function, call, conventions):
    """Value and derivative of each element are those of a function of the first argument and the target."""
    exact = exact_by_conventions(call, conventions, FORMAT)
    elements = zip(call.logits.tolist(), call.targets.tolist(), strict=True)
    with mp.workdps(DIGITS):
        for index, (x, t) in enumerate(elements):
            value = function(mp.mpf(x), t)
            slope = mp.diff(lambda y, t=t: function(y, t), mp.mpf(x), h=mp.mpf(10) ** -25)
            near = abs(number(exact["value"], index) - value) <= mp.mpf(10) ** -28 * abs(value)
            assert near, ("value", x, t)
            bound = mp.mpf(10) ** -18 * max(abs(slope), mp.mpf(10) ** -8)
            assert abs(number(exact["gradient"], index) - slope) <= bound, ("gradient", x, t)


def elements(targets=TARGETS, logits=LOGITS):
    x, t = np.meshgrid(logits, targets)
    return x.ravel(), t.ravel()


HARD = (0.0, 1.0)


@pytest.mark.parametrize("meaning", ["pos/1-pos", "pos-only", "neg-only", "uniform", "none"])
@pytest.mark.parametrize("rule", ["blended", "mixture", "distance"])
def test_each_meaning_of_alpha_with_each_rule_for_soft_targets(meaning, rule):
    x, t = elements()
    call = Call(x, t, alpha=0.25, gamma=1.5)
    function = partial(focal, alpha=mp.mpf(0.25), gamma=mp.mpf(1.5), meaning=meaning, rule=rule)
    check(function, call, FOCAL | {"alpha": meaning, "soft_targets": rule})


@pytest.mark.parametrize("clipping", ["none", "cross-entropy", "logarithm", "added", "probability"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_each_way_to_clip(clipping, gamma):
    x, t = elements()
    function = partial(focal, alpha=mp.mpf(0.25), gamma=mp.mpf(gamma), clipping=clipping)
    epsilon = 0 if clipping == "none" else EPSILON
    check(function, Call(x, t, gamma=gamma), FOCAL | {"clipping": clipping, "epsilon": epsilon})


@pytest.mark.parametrize("clipping", ["none", "added", "probability"])
def test_probabilities_are_taken_as_given(clipping):
    p, t = elements(logits=(1e-9, 5e-4, 0.2, 0.5, 0.9, 1 - 2.0**-12))
    function = partial(focal, alpha=mp.mpf(0.25), gamma=mp.mpf(2), clipping=clipping, given=True)
    epsilon = 0 if clipping == "none" else EPSILON
    with mp.workdps(DIGITS):
        conventions = FOCAL | {"prediction": "probabilities", "clipping": clipping, "epsilon": epsilon}
        exact = exact_by_conventions(Call(p, t, function="loss_from_probabilities"), conventions, FORMAT)
        for index, (one, target) in enumerate(zip(p.tolist(), t.tolist(), strict=True)):
            value = function(mp.mpf(one), target)
            slope = mp.diff(lambda y, target=target: function(y, target), mp.mpf(one), h=mp.mpf(10) ** -30)
            assert abs(number(exact["value"], index) - value) <= mp.mpf(10) ** -28 * abs(value)
            bound = mp.mpf(10) ** -15 * max(abs(slope), mp.mpf(10) ** -8)
            assert abs(number(exact["gradient"], index) - slope) <= bound


@pytest.mark.parametrize(
    ("formula", "function", "parameters", "targets"),
    [
        ("star", star, {"alpha": 0.25, "gamma": 2.0, "beta": 0.5}, HARD),
        ("quality", quality, {"beta": 1.5}, TARGETS),
        ("varifocal", varifocal, {"alpha": 0.75, "gamma": 2.0}, TARGETS),
        ("asymmetric", asymmetric, {"gamma_positive": 1.0, "gamma_negative": 4.0, "clip": 0.0625}, TARGETS),
        ("heatmap", heatmap, {"gamma": 2.0, "beta": 4.0}, TARGETS),
    ],
)
def test_each_formula(formula, function, parameters, targets):
    x, t = elements(targets)
    own = {name: parameters[name] for name in ("alpha", "gamma") if name in parameters}
    others = {name: value for name, value in parameters.items() if name not in own}
    alpha = {"star": "pos/1-pos", "varifocal": "neg-only"}.get(formula, "none")
    conventions = FOCAL | {"formula": formula, "alpha": alpha, "soft_targets": "formula"}
    exact_numbers = {name: mp.mpf(value) for name, value in parameters.items()}
    check(partial(function, **exact_numbers), Call(x, t, **{"alpha": None, **own}, parameters=others), conventions)


ROWS = np.array([[0.5, -1.0, 2.0, 0.25], [9.0, -2.0, 0.0, 1.0], [-9.0, 1.0, 3.0, -4.0], [0.0, 0.0, 0.0, 12.0]])
LABELS = np.array([2, 1, 0, 3])


def row_loss(z, shares, *, weights, gamma, epsilon):
    total = sum(mp.exp(one) for one in z)
    loss = mp.mpf(0)
    for one, share, weight in zip(z, shares, weights, strict=True):
        p = mp.exp(one) / total
        p = clip(p, epsilon) if epsilon else p
        loss += mp.mpf(share) * weight * (1 - p) ** gamma * -mp.log(p)
    return loss


@pytest.mark.parametrize("epsilon", [0, EPSILON])
@pytest.mark.parametrize(
    ("meaning", "alpha", "weights"),
    [
        ("uniform", 0.25, (0.25,) * 4),
        ("first/rest", 0.25, (0.75, 0.25, 0.25, 0.25)),
        ("class-vector", np.array([1.0, 0.5, 2.0, 0.25]), (1.0, 0.5, 2.0, 0.25)),
        ("none", 0.25, (1.0,) * 4),
        ("uniform", None, (1.0,) * 4),
    ],
)
@pytest.mark.parametrize("soft", [False, True])
def test_each_meaning_of_alpha_for_the_rows_of_a_softmax(meaning, alpha, weights, epsilon, soft):
    shares = np.full((4, 4), 0.125) + 0.5 * np.eye(4)[LABELS] if soft else np.eye(4)[LABELS]
    clipping = {"clipping": "probability" if epsilon else "none", "epsilon": epsilon}
    call = Call(ROWS, shares if soft else LABELS, alpha=alpha, gamma=2.0, function="softmax_loss")
    exact = exact_by_conventions(call, SOFTMAX | {"alpha": meaning} | clipping, FORMAT)
    with mp.workdps(DIGITS):
        for index, (row, share) in enumerate(zip(ROWS.tolist(), shares.tolist(), strict=True)):
            z = [mp.mpf(one) for one in row]
            loss = partial(row_loss, shares=share, weights=weights, gamma=mp.mpf(2), epsilon=epsilon)
            value = loss(z)
            assert abs(number(exact["value"], index) - value) <= mp.mpf(10) ** -28 * abs(value)
            for j in range(4):

                def moved(y, z=z, loss=loss, j=j):
                    return loss([*z[:j], y, *z[j + 1 :]])

                slope = mp.diff(moved, z[j], h=mp.mpf(10) ** -25)
                bound = mp.mpf(10) ** -18 * max(abs(slope), mp.mpf(10) ** -8)
                assert abs(number(exact["gradient"], (index, j)) - slope) <= bound


def test_labels_name_classes_background_and_what_is_ignored():
    conventions = FOCAL | {"soft_targets": "unsupported"}
    logits = np.array([[0.5, -1.0], [2.0, 3.0], [0.25, -4.0]])
    call = Call(logits, np.array([1, -1, -2]), function="loss_from_labels")
    got = exact_by_conventions(call, conventions, FORMAT)
    hot = np.array([[0.0, 1.0], [0.0, 0.0]])
    elementwise = exact_by_conventions(Call(logits[:2], hot), conventions, FORMAT)
    for quantity in ("value", "gradient"):
        assert np.array_equal(got[quantity].numbers[:2], elementwise[quantity].numbers)
        assert not got[quantity].numbers[2].any()


@pytest.mark.parametrize("clipping", ["none", "cross-entropy", "probability"])
def test_infinite_logits_give_limits_and_nan_gives_nan(clipping):
    epsilon = 0 if clipping == "none" else 1e-7
    conventions = FOCAL | {"clipping": clipping, "epsilon": epsilon}
    x = np.array([-np.inf, np.inf, np.nan])
    got = exact_by_conventions(Call(x, np.ones(3), alpha=None, gamma=2.0), conventions, FORMAT)
    wrong = np.inf if clipping == "none" else -math.log(1e-7) * ((1 - 1e-7) ** 2 if clipping == "probability" else 1)
    right = 0.0 if clipping != "probability" else 1e-14 * -math.log1p(-1e-7)
    assert got["value"].numbers.tolist()[:2] == pytest.approx([wrong, right], rel=1e-12)
    assert got["gradient"].numbers.tolist()[:2] == ([-1.0, 0.0] if clipping == "none" else [0.0, 0.0])
    assert np.isnan(got["value"].numbers[2])
    assert np.isnan(got["gradient"].numbers[2])


def test_where_nothing_differs_it_gives_the_bits_of_the_reference():
    # Another road to the same numbers: the double-double reference, which shares no code with Arb.
    from focal_ref.conformance.accuracy import exact_results

    generator = np.random.default_rng(7)
    x, t = generator.normal(0.0, 9.0, 300), generator.random(300)
    for rule in ("blended", "mixture"):
        for meaning in ("pos/1-pos", "pos-only", "neg-only", "uniform", "none"):
            conventions = FOCAL | {"soft_targets": rule, "alpha": meaning}
            options = {"alpha": 0.3, "gamma": 1.7}
            got = exact_by_conventions(Call(x, t, **options), conventions, FORMAT)
            reference = exact_results(x, t, **options, format=FORMAT, rule=rule, meaning=meaning)
            for quantity in ("value", "gradient"):
                assert np.array_equal(got[quantity].numbers, reference[quantity].numbers), (rule, meaning, quantity)


SHAPE = (2, 3, 4)
LABELLED = np.array([[0, 3, -2], [1, -1, 2]])


@pytest.mark.parametrize(
    ("mean", "conventions", "targets", "expected"),
    [
        ("elements", FOCAL, np.ones(SHAPE), 24.0),
        ("rows", FOCAL, np.ones(SHAPE), 6.0),
        ("valid", FOCAL, np.ones(SHAPE), 24.0),
        ("positives", FOCAL, np.arange(24.0).reshape(SHAPE) % 2, 12.0),
        ("positives", FOCAL, np.zeros(SHAPE), 1.0),
        ("weights", FOCAL, np.arange(24.0).reshape(SHAPE) % 2, 12 * 0.25 + 12 * 0.75),
        ("elements", FOCAL, LABELLED, 24.0),
        ("valid", FOCAL, LABELLED, 20.0),
        ("positives", FOCAL, LABELLED, 4.0),
        ("weights", FOCAL, LABELLED, 4 * 0.25 + 16 * 0.75),
        ("elements", SOFTMAX, np.abs(LABELLED), 24.0),
        ("rows", SOFTMAX, np.abs(LABELLED), 6.0),
        ("valid", SOFTMAX, np.where(LABELLED == -1, 0, LABELLED), 5.0),
        ("weights", SOFTMAX | {"alpha": "first/rest"}, np.where(LABELLED == -1, 0, LABELLED), 2 * 0.75 + 3 * 0.25),
    ],
)
def test_the_denominator_of_a_mean_is_the_declared_one(mean, conventions, targets, expected):
    function = "softmax_loss" if conventions["multi_class"] == "softmax" else "loss"
    call = Call(np.zeros(SHAPE), targets, alpha=0.25, function=function)
    assert denominator(call, conventions | {"mean": mean}) == expected


def test_a_mean_that_there_is_not_has_no_denominator():
    with pytest.raises(ValueError, match="conventions\\.mean is 'unsupported'"):
        denominator(Call(np.zeros(3), np.zeros(3)), FOCAL | {"mean": "unsupported"})


def test_soft_targets_that_are_not_supported_have_no_formula():
    with pytest.raises(ValueError, match=r"target 0\.5: soft targets are not supported"):
        exact_by_conventions(Call(np.zeros(1), np.full(1, 0.5)), FOCAL | {"soft_targets": "unsupported"}, FORMAT)


def test_every_value_of_every_axis_says_what_it_means_and_its_formula():
    values = [value for axis in AXES.values() for value in axis.values()]
    assert all(isinstance(value, Value) and value.meaning and value.formula for value in values)


@pytest.mark.parametrize(
    ("clipping", "gamma", "expected"),
    [
        ("none", 0.0, 0.0),
        ("none", 2.0, 0.0),
        ("probability", 0.0, -math.log1p(-EPSILON)),
        ("probability", 2.0, -(EPSILON**2) * math.log1p(-EPSILON)),
        ("cross-entropy", 0.0, -math.log1p(-EPSILON)),
        ("cross-entropy", 2.0, 0.0),
        ("added", 0.0, -math.log1p(EPSILON)),
        ("logarithm", 0.0, 0.0),
    ],
)
def test_a_single_class_has_the_probability_1_as_it_is_clipped(clipping, gamma, expected):
    epsilon = 0 if clipping == "none" else EPSILON
    conventions = SOFTMAX | {"clipping": clipping, "epsilon": epsilon}
    call = Call(np.array([[3.0]]), np.array([0]), alpha=None, gamma=gamma, function="softmax_loss")
    got = exact_by_conventions(call, conventions, FORMAT)
    assert got["value"].numbers[0] == pytest.approx(expected, rel=1e-14)
    assert got["gradient"].numbers.tolist() == [[0.0]]
