"""The softmax focal loss of rows and its derivatives, against the printed formula."""

import itertools
import math

import array_api_strict
import numpy as np
import pytest
from array_api_compat import numpy as numpy_namespace
from mpmath import mp, mpf

from focal_ref._formulas import softmax

from .softmax_reference import (
    FLOAT32,
    QUANTITIES,
    assert_all_within,
    assert_same_bits,
    assert_within,
    error_in_ulps,
    evaluated,
    exact,
    printed_loss,
    probabilities,
    soft_shares,
    some_rows,
)

NAMESPACES = {"numpy": numpy_namespace, "array_api_strict": array_api_strict}
GAMMAS = (0.0, 0.5, 1.0, 2.0, 2.5, 5.0)
SPREADS = (1.0, 10.0, 100.0, 700.0)
EXTREME_GAMMAS = (0.0, 1e-300, 0.5, 2.0, 300.0, 1e4, 1e30, 1e300)
every_namespace = pytest.mark.parametrize("xp", NAMESPACES.values(), ids=NAMESPACES)
every_gamma = pytest.mark.parametrize("gamma", GAMMAS)
every_spread = pytest.mark.parametrize("spread", SPREADS)
labels_and_shares = pytest.mark.parametrize("encoding", ["labels", "shares"])


# The expected numbers


@every_gamma
def test_the_expected_derivatives_are_those_of_the_printed_loss(gamma):
    logits, shares, direction = (0.3, -1.2, 2.0), (0.2, 0.5, 0.3), (1.0, -0.7, 0.4)
    wanted = exact(logits, shares, gamma, direction)
    with mp.workdps(60):
        z, t, v = ([mpf(number) for number in numbers] for numbers in (logits, shares, direction))

        def loss(step, gamma, direction=v):
            return printed_loss([x + step * y for x, y in zip(z, direction, strict=True)], t, gamma)

        def slope(step, unit):
            moved = [x + step * y for x, y in zip(z, v, strict=True)]
            columns = list(zip(moved, unit, strict=True))
            return mp.diff(lambda other: printed_loss([x + other * e for x, e in columns], t, gamma), 0)

        close = mpf(10) ** -20
        units = [[int(i == j) for i in range(3)] for j in range(3)]
        assert abs(wanted.value - loss(0, gamma)) < close
        assert abs(sum(wanted.gamma) - mp.diff(lambda gamma: loss(0, gamma), mpf(gamma), direction=1)) < close
        for j, unit in enumerate(units):
            assert abs(wanted.gradient[j] - mp.diff(lambda step, unit=unit: loss(step, gamma, unit), 0)) < close
            assert abs(wanted.curvature[j] - mp.diff(lambda step, unit=unit: slope(step, unit), 0)) < close


# Accuracy


@every_spread
@pytest.mark.parametrize("classes", [1, 2, 3, 10])
def test_rows_of_labels_are_accurate(classes, spread):
    for gamma in GAMMAS:
        assert_all_within(*some_rows(classes, spread), gamma, 8 + 2 * gamma, encoding="labels")


@every_spread
@pytest.mark.parametrize("classes", [1, 2, 3, 10])
def test_soft_rows_are_accurate(classes, spread):
    logits, _ = some_rows(classes, spread, seed=1)
    for gamma in GAMMAS:
        assert_all_within(logits, soft_shares(logits.shape), gamma, 8 + 2 * gamma)


@labels_and_shares
@pytest.mark.parametrize(("spread", "gamma"), [(10.0, 5.0), (100.0, 0.5), (100.0, 2.0)])
def test_rows_of_a_hundred_classes_are_accurate(encoding, spread, gamma):
    logits, shares = some_rows(100, spread)
    shares = shares if encoding == "labels" else soft_shares(shares.shape)
    assert_all_within(logits, shares, gamma, 16, encoding=encoding)


@labels_and_shares
@every_namespace
def test_every_namespace_is_accurate(xp, encoding):
    logits, shares = some_rows(4, 20.0)
    shares = shares if encoding == "labels" else soft_shares(shares.shape)
    for gamma in (0.5, 2.0):
        assert_all_within(logits, shares, gamma, 8 + 2 * gamma, xp, encoding=encoding)


@pytest.mark.parametrize("second", [-30.0, -0.7])
def test_the_cross_entropy_of_a_class_far_below_the_others_is_rounded_once(second):
    logits = [(0.1, -distance, second) for distance in np.geomspace(20.0, 600.0, 40)]
    shares = np.array([0.0, 1.0, 0.0]) * np.ones((40, 3))
    found = evaluated(logits, shares, 0.0, encoding="labels")["value"]
    for row in range(40):
        value = exact(logits[row], shares[row], 0.0, np.zeros(3)).value
        assert error_in_ulps(found[row], value, value) <= 0.55


@labels_and_shares
@pytest.mark.parametrize("gamma", [0.0, 1e-3, 0.5, 5.0])
@pytest.mark.parametrize("distance", [36.7, 149.3, 599.5, 601.5, 709.1, 744.8])
def test_far_from_the_other_classes_subnormal_numbers_cost_no_digits(encoding, distance, gamma):
    logits = [(0.1, -distance, -distance - 0.5), (0.1, -distance, -30.0), (0.1, -distance, 0.1)]
    shares = np.zeros((3, 3))
    shares[range(3), [0, 1, 1]] = 1.0
    shares = shares if encoding == "labels" else soft_shares(shares.shape)
    assert_all_within(logits, shares, gamma, 8 + 2 * gamma, encoding=encoding)


@every_gamma
@pytest.mark.parametrize("spread", [1.0, 30.0, 700.0])
@labels_and_shares
def test_second_derivatives_are_the_diagonal_of_the_hessian(encoding, spread, gamma):
    logits, shares = some_rows(4, spread, seed=2)
    shares = shares if encoding == "labels" else soft_shares(shares.shape)
    found = evaluated(logits, shares, gamma, encoding=encoding)["second_derivative"]
    for row, column in itertools.product(range(3), range(4)):
        wanted = exact(logits[row], shares[row], gamma, np.eye(4)[column])
        number, scale = wanted.curvature[column], wanted.curvature_scale[column]
        assert error_in_ulps(found[row, column], number, scale) <= 8 + 2 * gamma


@every_gamma
@labels_and_shares
def test_second_derivatives_keep_their_digits_where_one_other_class_is_almost_certain(encoding, gamma):
    # There the derivative of the likely class is A pi (1 - pi), and 1 - pi is 1e-18.
    logits, shares, likely = (0.3, -100.0, -41.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)
    wanted = exact(logits, shares, gamma, likely).curvature[0]
    found = evaluated([logits], [shares], gamma, encoding=encoding)["second_derivative"][0, 0]
    assert error_in_ulps(found, wanted, wanted) <= 8 + 2 * gamma


@labels_and_shares
@pytest.mark.parametrize(
    ("classes", "spread"), [(2, 1.0), (2, 10.0), (2, 100.0), (2, 700.0), (10, 10.0), (10, 700.0), (100, 10.0)]
)
def test_rounded_to_float32_value_and_gradient_are_within_half_an_ulp(encoding, classes, spread):
    logits, shares = some_rows(classes, spread, seed=3, dtype=np.float32)
    shares = shares if encoding == "labels" else soft_shares(shares.shape)
    for gamma in GAMMAS if classes == 2 else (0.5, 2.0):
        found = evaluated(logits, shares, gamma, encoding=encoding, narrowed=True)
        for row in range(3):
            wanted = exact(logits[row], shares[row], gamma, np.zeros(classes))
            value, gradient = (found[name][row].astype(np.float32) for name in ("value", "gradient"))
            assert_within([value], [wanted.value], [wanted.value], 0.501, "value", **FLOAT32)
            scale = wanted.gradient if encoding == "labels" else wanted.gradient_scale
            assert_within(gradient, wanted.gradient, scale, 0.501, "gradient", **FLOAT32)


@labels_and_shares
def test_rounded_to_float32_a_thousand_classes_are_within_half_an_ulp(encoding):
    logits, shares = (array[:1] for array in some_rows(1000, 10.0, dtype=np.float32))
    shares = shares if encoding == "labels" else soft_shares(shares.shape)
    found = evaluated(logits, shares, 2.0, encoding=encoding, narrowed=True)
    wanted = exact(logits[0], shares[0], 2.0, np.zeros(1000))
    value, gradient = (found[name].astype(np.float32) for name in ("value", "gradient"))
    assert_within(value, [wanted.value], [wanted.value], 0.501, "value", **FLOAT32)
    scale = wanted.gradient if encoding == "labels" else wanted.gradient_scale
    assert_within(gradient[0], wanted.gradient, scale, 0.501, "gradient", **FLOAT32)


@pytest.mark.parametrize("gamma", [0.0, 0.02, 2.0])
@pytest.mark.parametrize("other", [-40.0, -60.0, -300.0])
def test_half_way_between_two_float32_numbers_the_narrowed_value_is_on_the_right_side(gamma, other):
    # 0.75 times a float32 number is half way between two others in one case of two.
    distances = np.linspace(31.0, 100.0, 40, dtype=np.float32).astype(np.float64)
    logits = np.stack([np.zeros_like(distances), -distances, np.full_like(distances, other)], axis=-1)
    shares = np.array([0.0, 0.75, 0.0]) * np.ones_like(logits)
    found, unaware = (evaluated(logits, shares, gamma, narrowed=narrowed)["value"] for narrowed in (True, False))
    ties = 0
    for row in range(len(logits)):
        with mp.workdps(600):
            p = probabilities([mpf(z) for z in logits[row]])[1]
            wanted = mpf("0.75") * (1 - p) ** mpf(gamma) * -mp.log(p)
            unit = mpf(2) ** (mp.frexp(wanted)[1] - 24)
            assert abs(mpf(float(np.float32(found[row]))) - wanted) <= unit / 2
            ties += abs(mpf(float(np.float32(unaware[row]))) - wanted) > unit / 2
    assert ties


# Properties


@labels_and_shares
@every_gamma
def test_gradient_and_hessian_of_each_row_sum_to_zero(encoding, gamma):
    for classes, spread in ((3, 10.0), (50, 100.0)):
        logits, shares = some_rows(classes, spread)
        shares = shares if encoding == "labels" else soft_shares(shares.shape)
        found = evaluated(logits, shares, gamma, np.cos(logits), encoding=encoding)
        for name in ("gradient", "curvature"):
            assert np.any(found[name])
            total = np.abs(np.sum(found[name], axis=-1))
            assert np.all(total <= 2.0**-52 * classes * np.sum(np.abs(found[name]), axis=-1))


@labels_and_shares
@every_gamma
def test_a_constant_added_to_a_row_of_logits_changes_nothing(encoding, gamma):
    logits, shares = some_rows(6, 40.0)
    logits = np.round(logits * 1024.0) / 1024.0
    shares = shares if encoding == "labels" else soft_shares(shares.shape)
    found, shifted = (evaluated(logits + c, shares, gamma, shares, encoding=encoding) for c in (0.0, -12345.0))
    for name in QUANTITIES:
        assert_same_bits(shifted[name], found[name])


@labels_and_shares
@every_gamma
def test_a_constant_direction_has_no_curvature(encoding, gamma):
    logits, shares = some_rows(6, 40.0)
    shares = shares if encoding == "labels" else soft_shares(shares.shape)
    found = evaluated(logits, shares, gamma, np.full(logits.shape, 1e9 / 3), encoding=encoding)
    assert np.all(found["curvature"] == 0.0)


@every_gamma
def test_two_classes_are_the_binary_loss_of_the_difference(gamma):
    logits = [(0.1, z) for z in (-700.3, -31.7, -5.9, -0.2, 0.1, 0.3, 2.8, 50.1, 300.7)]
    shares = [(0.0, 1.0)] * len(logits)
    found = evaluated(logits, shares, gamma, shares, encoding="labels")
    for row, (other, z) in enumerate(logits):
        with mp.workdps(80 + int(abs(z))):
            s = mpf(z) - mpf(other)

            def binary(s):
                p = 1 / (1 + mp.exp(-s))
                return (1 - p) ** mpf(gamma) * -mp.log(p)

            value, first, second = (mp.diff(binary, s, order) for order in range(3))
            scale = max(abs(second), abs(value) * mp.exp(-abs(s)))
        bound = 8 + 2 * gamma
        assert error_in_ulps(found["value"][row], value, value) <= bound
        for sign, column in ((1, 1), (-1, 0)):
            assert error_in_ulps(found["gradient"][row, column], sign * first, first) <= bound
            assert error_in_ulps(found["curvature"][row, column], sign * second, scale) <= bound
            assert error_in_ulps(found["second_derivative"][row, column], second, scale) <= bound


@pytest.mark.parametrize("spread", [0.0, 1.0, 100.0, 2000.0])
@pytest.mark.parametrize("classes", [1, 2, 7, 200])
def test_a_row_with_a_single_share_has_the_bits_of_the_row_with_that_label(classes, spread):
    generator = np.random.default_rng(classes)
    logits = generator.uniform(-spread / 2, spread / 2, (40, classes))
    logits[::4] = np.round(logits[::4])
    labels = np.where(np.arange(40) % 3 == 0, np.argmax(logits, axis=-1), generator.integers(0, classes, 40))
    shares = np.where(np.arange(classes) == labels[:, np.newaxis], generator.random((40, 1)), 0.0)
    gamma, direction = generator.uniform(0.0, 5.0, classes), generator.normal(size=logits.shape)
    by_label, by_shares = (evaluated(logits, shares, gamma, direction, encoding=e) for e in ("labels", "shares"))
    by_shares["share"] = np.where(shares > 0.0, by_shares["share"], 0.0)
    for name in ("value", "gradient", "gamma", "share"):
        assert_same_bits(by_label[name], by_shares[name])
    for name in ("curvature", "second_derivative"):
        # The same but for the signs of zeros.
        assert_same_bits(by_label[name] + 0.0, by_shares[name] + 0.0)


@labels_and_shares
def test_gamma_may_differ_between_classes(encoding):
    logits, shares = some_rows(6, 10.0)
    gamma = np.array([0.0, 0.5, 1.0, 2.0, 3.5, 5.0])
    for row in range(3):
        label = int(np.argmax(shares[row]))
        found = evaluated(logits, shares, gamma, logits, encoding=encoding)
        wanted = exact(logits[row], shares[row], gamma[label], logits[row])
        assert error_in_ulps(found["value"][row], wanted.value, wanted.value) <= 18
        assert_within(found["gradient"][row], wanted.gradient, wanted.gradient_scale, 18, "gradient")
        assert_within(found["curvature"][row], wanted.curvature, wanted.curvature_scale, 18, "curvature")


# Special values


@labels_and_shares
@every_namespace
@every_gamma
def test_an_infinite_logit_gives_the_limits(xp, encoding, gamma):
    inf = math.inf
    logits = [(inf, 0.0, 1.0), (inf, 0.0, 1.0), (-inf, 1.0, 1.0), (inf, -inf, 0.0), (0.0, -inf, -inf)]
    shares = [(0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.5, 0.0, 0.0)]
    found = evaluated(logits, shares, gamma, np.ones((5, 3)), xp, encoding=encoding)
    assert np.array_equal(found["value"], [0.0, inf, inf, inf, 0.0])
    gradients = [(0, 0, 0), (0.5, -0.5, 0), (-0.5, 0.25, 0.25), (0.5, -0.5, 0), (0, 0, 0)]
    assert np.array_equal(found["gradient"], gradients)
    assert not np.any(found["gamma"])
    assert not np.any(found["curvature"])


@every_namespace
@labels_and_shares
@pytest.mark.parametrize(
    "logits", [(math.nan, 0.0), (0.0, math.nan), (math.inf, math.inf), (-math.inf, -math.inf), (math.nan, math.inf)]
)
def test_without_a_softmax_the_row_is_nan(xp, encoding, logits):
    found = evaluated([logits], [(1.0, 0.0)], 2.0, [(1.0, 2.0)], xp, encoding=encoding)
    for name in ("value", "gradient", "curvature", "second_derivative"):
        assert np.all(np.isnan(found[name])), name
    assert np.isnan(found["gamma"][0, 0])
    assert np.isnan(found["share"][0, 0])


@every_namespace
@labels_and_shares
@every_gamma
def test_a_row_without_label_or_share_is_zero_whatever_its_logits(xp, encoding, gamma):
    logits = [(math.nan, 0.0), (math.inf, math.inf), (1e308, -1e308), (-math.inf, 3.0)]
    found = evaluated(logits, np.zeros((4, 2)), gamma, np.ones((4, 2)), xp, encoding=encoding)
    for name in set(QUANTITIES) - ({"share"} if encoding == "shares" else set()):
        assert not np.any(found[name]), name


@every_namespace
@pytest.mark.parametrize("logit", [-math.inf, math.nan])
def test_a_label_of_share_zero_is_zero_whatever_its_logit(xp, logit):
    arrays = [np.array(array) for array in ([[logit, 0.0]], [[True, False]], [[0.0]], 2.0)]
    with np.errstate(all="ignore"):
        value, gradient = softmax.label_value_and_gradient(xp, *(xp.asarray(array) for array in arrays))
    assert float(value[0]) == 0.0
    assert not np.any(np.asarray(gradient))


@every_namespace
def test_a_class_of_share_zero_adds_nothing_where_its_loss_is_infinite(xp):
    assert evaluated([(-math.inf, 0.0)], [(0.0, 1.0)], 2.0, xp=xp)["value"][0] == 0.0


@labels_and_shares
@pytest.mark.parametrize("gamma", EXTREME_GAMMAS)
def test_no_finite_logits_give_nan(encoding, gamma):
    numbers = (0.0, 1.0, -30.0, 800.0, 1e308, -1e308)
    logits = np.array(list(itertools.product(numbers, repeat=3)))
    shares = np.zeros_like(logits)
    shares[:, 1] = 1.0
    shares = shares if encoding == "labels" else shares + 0.25
    found = evaluated(logits, shares, gamma, np.ones_like(logits) * [1.0, 2.0, 4.0], encoding=encoding)
    for name, result in found.items():
        assert not np.any(np.isnan(result)), name
    assert not np.any(np.signbit(found["value"]))
    # Where all other classes are far below, the label costs nothing.
    certain = np.max(np.delete(logits, 1, axis=-1), axis=-1) < logits[:, 1] - 790.0
    assert np.any(certain)
    if encoding == "labels":
        assert not np.any(found["value"][certain])
        assert not np.any(found["gradient"][certain])
        # And where another is far above, the difference.
        lost = np.max(logits, axis=-1) == 800.0
        lost &= (logits[:, 1] == 0.0) & (np.sum(logits == 800.0, axis=-1) == 1)
        assert np.any(lost)
        assert np.array_equal(found["value"][lost], np.full(np.sum(lost), 800.0))


@labels_and_shares
@every_namespace
@every_gamma
def test_a_single_class_is_certain(xp, encoding, gamma):
    found = evaluated([(3.0,), (math.inf,), (-1e308,)], np.ones((3, 1)), gamma, np.ones((3, 1)), xp, encoding=encoding)
    for name, result in found.items():
        assert not np.any(result), name


@labels_and_shares
@every_namespace
def test_no_classes_are_rows_of_zero(xp, encoding):
    found = evaluated(np.zeros((3, 0)), np.zeros((3, 0)), 2.0, xp=xp, encoding=encoding)
    assert np.array_equal(found["value"], np.zeros(3))


@every_gamma
def test_equal_logits_are_equal_probabilities(gamma):
    logits = np.zeros((1, 5))
    with mp.workdps(60):
        value = (mpf(4) / 5) ** mpf(gamma) * mp.log(5)
        slope = (mpf(4) / 5) ** mpf(gamma) * (mpf(gamma) * mp.log(5) / 5 + mpf(4) / 5)
    for encoding, shares in (("labels", np.eye(5)[:1]), ("shares", np.full((1, 5), 0.2))):
        found = evaluated(logits, shares, gamma, encoding=encoding)
        assert error_in_ulps(found["value"][0], value, value) <= 8 + 2 * gamma
        wanted = [-slope, *[slope / 4] * 4] if encoding == "labels" else [mpf(0)] * 5
        assert_within(found["gradient"][0], wanted, [slope] * 5, 8 + 2 * gamma, encoding)
