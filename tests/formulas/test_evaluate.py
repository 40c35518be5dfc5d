"""The closed forms on arrays: special values, soft targets, arrays of parameters, weights, invalid data, sums."""

import math

import array_api_strict
import mpmath
import numpy as np
import pytest
from array_api_compat import numpy as numpy_namespace
from mpmath import mp, mpf

from focal_ref._evaluate import evaluate, evaluate_second, tree_sum
from focal_ref._exact import evaluate as evaluate_exactly
from focal_ref._parameters import Parameters

LOG_2 = mpmath.log(2)
GAMMAS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
NAMESPACES = {"numpy": numpy_namespace, "array_api_strict": array_api_strict}

pytestmark = pytest.mark.filterwarnings("error")
every_gamma = pytest.mark.parametrize("gamma", GAMMAS)
every_namespace = pytest.mark.parametrize("xp", NAMESPACES.values(), ids=NAMESPACES)
hard_and_soft = pytest.mark.parametrize("target_type", ["bool", "int64", "float64"])


def array_of(xp, numbers, dtype=None):
    return xp.asarray(np.asarray(numbers) if dtype is None else np.asarray(numbers, dtype=dtype))


def evaluated(logits, targets, xp=numpy_namespace, dtype="float64", **parameters):
    """Value, gradient and second derivative as NumPy arrays."""
    arrays = {
        name: array_of(xp, setting) if isinstance(setting, (list, np.ndarray)) else setting
        for name, setting in parameters.items()
    }
    arguments = (array_of(xp, logits, dtype), array_of(xp, targets), Parameters(**{"alpha": None, **arrays}))
    with np.errstate(all="ignore"):
        value, gradient = evaluate(xp, *arguments)
        second = evaluate_second(xp, *arguments)
    return tuple(np.asarray(result) for result in (value, gradient, second))


def assert_within_bounds(results, logits, targets, bound, dtype="float64", **parameters):
    """In ulp of the exact result, or of the scale of its terms."""
    exact = evaluate_exactly(
        np.asarray(logits, dtype=dtype).astype(np.float64), np.asarray(targets, dtype=np.float64), **parameters
    )
    scales = (exact.value, exact.gradient_scale, exact.second_derivative_scale)
    formats = {"float64": (-1022, 53), "float32": (-126, 24)}
    quantities = (exact.value, exact.gradient, exact.second_derivative)
    for result, quantity, scale in zip(results, quantities, scales, strict=True):
        unit = scale.unit_exponent(*formats[dtype])
        high, low = quantity.in_units(unit)
        with np.errstate(invalid="ignore"):
            error = np.abs((np.ldexp(result.astype(np.float64), -unit) - high) - low)
        infinite = np.isinf(quantity.high)
        assert np.array_equal(result[infinite], quantity.high[infinite])
        assert np.max(error[~infinite], initial=0.0) <= bound


def some_margins(count=2000, seed=0):
    generator = np.random.default_rng(seed)
    wide = generator.uniform(-800.0, 800.0, count // 2)
    return np.concatenate([generator.normal(0.0, 6.0, count - count // 2), wide])


# Special values


def at_zero(gamma):
    """Value, derivative and second derivative by the margin at 0, from the table."""
    power = mpf(2) ** -mpf(gamma)
    return (
        power * LOG_2,
        -power * (gamma * LOG_2 + 1) / 2,
        power * (mpf(gamma) * (gamma - 1) * LOG_2 + 2 * gamma + 1) / 4,
    )


@every_namespace
@every_gamma
@hard_and_soft
@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize("target", [0, 1])
def test_at_zero_the_quantities_are_those_of_the_table(xp, gamma, target_type, zero, target):
    results = evaluated([zero], np.array([target], dtype=target_type), xp, gamma=gamma)
    expected = list(at_zero(gamma))
    expected[1] *= 1 if target else -1
    for result, exact in zip(results, expected, strict=True):
        assert abs(mpf(float(result[0])) - exact) <= 8 * 2.0**-53 * abs(exact)


def test_at_zero_with_gamma_2_they_are_the_printed_numbers():
    value, gradient, second = evaluated([0.0], [True], gamma=2.0)
    with mp.workdps(20):
        assert abs(value[0] - mpf("0.17328679513998632735")) < 1e-16
        assert abs(gradient[0] + mpf("0.29828679513998632735")) < 2e-16
        assert abs(second[0] - mpf("0.399143397569993")) < 1e-15


def sign_and_number(results):
    return [(float(result[0]), bool(np.signbit(result[0]))) for result in results]


@every_namespace
@every_gamma
@hard_and_soft
def test_an_infinite_logit_that_is_right_costs_nothing_and_its_gradient_keeps_its_sign(xp, gamma, target_type):
    one, zero = (np.array([target], dtype=target_type) for target in (1, 0))
    value, gradient, second = sign_and_number(evaluated([np.inf], one, xp, gamma=gamma))
    assert (value, gradient) == ((0.0, False), (0.0, True))
    assert second[0] == 0.0
    value, gradient, second = sign_and_number(evaluated([-np.inf], zero, xp, gamma=gamma))
    assert (value, gradient) == ((0.0, False), (0.0, False))
    assert second[0] == 0.0


@every_namespace
@every_gamma
@hard_and_soft
def test_an_infinite_logit_that_is_wrong_costs_infinitely_much_with_gradient_one(xp, gamma, target_type):
    one, zero = (np.array([target], dtype=target_type) for target in (1, 0))
    value, gradient, second = (result[0] for result in evaluated([-np.inf], one, xp, gamma=gamma))
    assert (value, gradient, second) == (np.inf, -1.0, 0.0)
    value, gradient, second = (result[0] for result in evaluated([np.inf], zero, xp, gamma=gamma))
    assert (value, gradient, second) == (np.inf, 1.0, 0.0)


@every_namespace
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0, 5000.0])
@pytest.mark.parametrize("logit", [np.inf, -np.inf])
def test_a_soft_target_costs_infinitely_much_at_either_infinity(xp, gamma, logit):
    value, gradient, second = evaluated([logit], [0.25], xp, gamma=gamma)
    assert value[0] == np.inf
    limit = (1.0 - 0.25 if logit > 0 else 0.25) ** gamma * (1.0 - 0.25 if logit > 0 else -0.25)
    assert abs(gradient[0] - limit) <= 16 * 2.0**-53 * abs(limit)
    assert second[0] == 0.0


@every_gamma
@hard_and_soft
def test_nan_gives_nan_everywhere(gamma, target_type):
    targets = np.array([1, 0], dtype=target_type)
    for result in evaluated([np.nan, np.nan], targets, gamma=gamma):
        assert np.all(np.isnan(result))


@every_gamma
@hard_and_soft
def test_results_at_huge_finite_logits_are_the_limits(gamma, target_type):
    logits = np.array([1e5, 1e300, 1.7e308, -1e5, -1e300, -1.7e308])
    value, gradient, second = evaluated(logits, np.ones(6, dtype=target_type), gamma=gamma)
    assert value.tolist() == [0.0, 0.0, 0.0, 1e5, 1e300, 1.7e308]
    assert gradient.tolist() == [0.0, 0.0, 0.0, -1.0, -1.0, -1.0]
    assert second.tolist() == [0.0] * 6


@hard_and_soft
def test_gamma_zero_is_the_cross_entropy(target_type):
    margins = np.linspace(-30.0, 30.0, 61)
    value, gradient, second = evaluated(margins, np.ones(61, dtype=target_type), gamma=0.0)
    with mp.workdps(40):
        for index, margin in enumerate(margins):
            p = 1 / (1 + mpmath.exp(-mpf(float(margin))))
            q = 1 / (1 + mpmath.exp(mpf(float(margin))))
            for result, exact in zip((value, gradient, second), (-mpmath.log(p), -q, p * q), strict=True):
                assert abs(mpf(float(result[index])) - exact) <= 8 * 2.0**-53 * abs(exact)


# Accuracy, soft targets, parameters


@every_gamma
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_hard_targets_are_within_the_bounds(gamma, dtype):
    margins = some_margins() if dtype == "float64" else some_margins() / 8.0
    results = evaluated(margins, np.ones(margins.size, bool), dtype=dtype, gamma=gamma)
    bound = (8.0 if dtype == "float64" else 10.0) + 2.0 * gamma
    assert_within_bounds(results, margins, np.ones(margins.size), bound, dtype, gamma=gamma)


@every_gamma
def test_soft_targets_are_within_the_bounds_next_to_zero_one_half_and_one_too(gamma):
    generator = np.random.default_rng(1)
    targets = np.concatenate(
        [
            generator.random(1000),
            0.5 + generator.normal(0.0, 0.01, 400),
            10.0 ** -generator.uniform(0.0, 40.0, 300),
            1.0 - 2.0 ** -generator.uniform(1.0, 53.0, 300),
        ]
    )
    logits = some_margins(targets.size, seed=2)
    results = evaluated(logits, targets, gamma=gamma)
    assert_within_bounds(results, logits, targets, 8.0 + 2.0 * gamma, gamma=gamma)


@pytest.mark.parametrize("gamma", [1.0, 2.0, 5.0])
def test_nearly_hard_targets_are_within_the_bounds_where_the_exponential_is_most_of_what_is_missing(gamma):
    generator = np.random.default_rng(14)
    count = 1 << 16
    logits = generator.uniform(-20.0, 2.0, count)
    small = generator.random(count) * 10.0 ** -generator.integers(0, 6, count)
    targets = np.where(generator.random(count) < 0.5, small, 10.0 ** -generator.uniform(6.0, 40.0, count))
    for signed, shares in ((logits, targets), (-logits, 1.0 - targets)):
        results = evaluated(signed, shares, gamma=gamma)
        assert_within_bounds(results, signed, shares, 8.0 + 2.0 * gamma, gamma=gamma)


@every_gamma
def test_subnormal_exponentials_do_not_spoil_the_second_derivative(gamma):
    generator = np.random.default_rng(3)
    logits = generator.choice([-1.0, 1.0], 1000) * generator.uniform(700.0, 750.0, 1000)
    for targets in (10.0 ** -generator.uniform(0.0, 20.0, 1000), (logits < 0.0).astype(np.float64)):
        results = evaluated(logits, targets, gamma=gamma)
        assert_within_bounds(results, logits, targets, 8.0 + 2.0 * gamma, gamma=gamma)


def test_a_factor_that_underflows_is_made_up_for_by_a_huge_logit():
    logits, targets = np.array([-1e250, 1e250, -1e200]), np.array([1e-170, 1.0 - 2.0**-53, 1e-120])
    for gamma in (1.0, 1.5, 2.0):
        results = evaluated(logits, targets, gamma=gamma)
        assert_within_bounds(results, logits, targets, 8.0 + 2.0 * gamma, gamma=gamma)


@every_gamma
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_soft_targets_that_are_zero_or_one_give_what_hard_ones_give(gamma, dtype):
    logits = np.concatenate([some_margins(), [0.0, -0.0, np.inf, -np.inf, 1e300]])
    with np.errstate(over="ignore"):
        logits = logits.astype(dtype)
    targets = np.random.default_rng(4).random(logits.size) < 0.5
    hard = evaluated(logits, targets, dtype=dtype, gamma=gamma)
    soft = evaluated(logits, targets.astype(dtype), dtype=dtype, gamma=gamma)
    for name, left, right in zip(("value", "gradient"), hard, soft, strict=False):
        np.testing.assert_array_equal(left, right, err_msg=name)
        np.testing.assert_array_equal(np.signbit(left), np.signbit(right), err_msg=name)
    finite = np.abs(logits) < 1e30
    bound = (8.0 if dtype == "float64" else 10.0) + 2.0 * gamma
    for results in (hard, soft):
        parts = [result[finite] for result in results]
        assert_within_bounds(parts, logits[finite], targets[finite], bound, dtype, gamma=gamma)


def test_an_array_of_gammas_is_within_the_bounds_of_each():
    margins = some_margins()
    gamma = np.random.default_rng(5).choice(GAMMAS, margins.size)
    for targets in (np.ones(margins.size, bool), np.random.default_rng(6).random(margins.size)):
        results = evaluated(margins, targets, gamma=gamma)
        for each in GAMMAS:
            chosen = gamma == each
            parts = [result[chosen] for result in results]
            assert_within_bounds(parts, margins[chosen], targets[chosen], 8.0 + 2.0 * each, gamma=each)


@pytest.mark.parametrize("gamma", [0.25, 1.5, 3.0, 5.0])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_array_that_repeats_one_gamma_gives_the_bits_of_the_number(gamma, dtype):
    margins = some_margins()
    for targets in (np.ones(margins.size, bool), np.random.default_rng(7).random(margins.size)):
        number = evaluated(margins, targets, dtype=dtype, gamma=gamma)
        array = evaluated(margins, targets, dtype=dtype, gamma=np.full(margins.size, gamma))
        for left, right in zip(number, array, strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("gamma", [0.1, 1.1, 2.3])
def test_a_gamma_that_float32_cannot_hold_does_not_lose_what_it_cuts_off(gamma):
    margins = some_margins() / 8.0
    for setting in (gamma, np.full(margins.size, gamma)):
        results = evaluated(margins, np.ones(margins.size, bool), dtype="float32", gamma=setting)
        assert_within_bounds(results, margins, np.ones(margins.size), 10.0 + 2.0 * gamma, "float32", gamma=gamma)


@pytest.mark.parametrize("gamma", [50.0, 1e4, 1e6, 1e300])
def test_any_gamma_however_large_gives_finite_results_of_the_right_size(gamma):
    margins = np.concatenate([np.linspace(-800.0, 10.0, 200), -np.log(gamma) + np.linspace(-5.0, 5.0, 50)])
    results = evaluated(margins, np.ones(margins.size, bool), gamma=gamma)
    for result in results:
        assert np.all(np.isfinite(result))
    # With gamma log(d) of ordinary size, the error of log1p(e) still comes times that exponent.
    exponent = gamma * np.log1p(np.exp(np.minimum(margins, 700.0)))
    chosen = exponent < 20.0
    parts = [result[chosen] for result in results]
    assert_within_bounds(parts, margins[chosen], np.ones(int(chosen.sum())), 80.0, gamma=gamma)


@pytest.mark.parametrize("alpha", [0.25, 1.0 / 3.0, 1.0, 0.0])
def test_alpha_weighs_positives_and_its_complement_negatives_as_a_number_and_as_an_array(alpha):
    logits = some_margins()
    for targets in (np.random.default_rng(8).random(logits.size) < 0.5, np.random.default_rng(9).random(logits.size)):
        for setting in (alpha, np.full(logits.size, alpha), np.array([alpha])):
            results = evaluated(logits, targets, alpha=setting, gamma=2.0)
            assert_within_bounds(results, logits, targets, 13.0, alpha=alpha, gamma=2.0)


def test_weights_multiply_value_and_derivatives():
    logits, weights = some_margins(), np.random.default_rng(10).uniform(0.0, 4.0, 2000)
    plain = evaluated(logits, np.ones(2000, bool), gamma=2.0)
    weighted = evaluated(logits, np.ones(2000, bool), gamma=2.0, weights=weights)
    for left, right in zip(plain, weighted, strict=True):
        np.testing.assert_array_equal(left * weights, right)


def test_signed_targets_mean_the_same_as_binary_ones():
    logits, positive = some_margins(), np.random.default_rng(11).random(2000) < 0.5
    expected = evaluated(logits, positive, alpha=0.3)
    for dtype in ("int8", "float64"):
        found = evaluated(logits, np.where(positive, 1, -1).astype(dtype), alpha=0.3, encoding="signed")
        for left, right in zip(expected, found, strict=True):
            np.testing.assert_array_equal(left, right)


@every_namespace
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 1.5])
@pytest.mark.parametrize("target", [0, 1e-60])
def test_a_saturated_loss_that_is_rounded_next_lies_on_the_right_side_of_a_tie(xp, gamma, target):
    # Three quarters of a float32 number are half way between two of them, one time in two.
    logits = np.random.default_rng(15).uniform(40.0, 100.0, 2000).astype(np.float32).astype(np.float64)
    targets = np.full(2000, target)
    parameters = Parameters(alpha=0.25, gamma=gamma)
    value = np.asarray(
        evaluate(xp, array_of(xp, logits), array_of(xp, targets), parameters, narrowed=True).value
    ).astype(np.float32)
    exact = evaluate_exactly(logits, targets.astype(np.float64), alpha=0.25, gamma=gamma).value
    unit = exact.unit_exponent(-126, 24)
    high, low = exact.in_units(unit)
    difference = np.ldexp(value.astype(np.float64), -unit) - high
    assert np.count_nonzero(np.abs(difference) == 0.5) > 500
    # `high` is the tie; on which side of it the exact loss lies, `low` tells.
    assert np.all((np.abs(difference) - 0.5) - np.sign(difference) * low <= 0.0)


# Zero weight


@every_namespace
@hard_and_soft
@pytest.mark.parametrize("as_array", [False, True])
def test_a_class_of_weight_zero_costs_nothing_even_where_its_loss_is_infinite(xp, target_type, as_array):
    logits = np.array([-np.inf, -1e308, 0.0, np.inf])
    for alpha, target in ((0.0, 1), (1.0, 0)):
        signed = logits if target else -logits
        setting = np.full(4, alpha) if as_array else alpha
        for result in evaluated(signed, np.full(4, target, dtype=target_type), xp, alpha=setting, gamma=2.0):
            assert np.array_equal(result, np.zeros(4))


def test_a_weight_of_zero_gives_zero_but_keeps_nan():
    value, gradient, second = evaluated(
        [-np.inf, 3.0, np.nan], np.ones(3, bool), weights=np.array([0.0, 0.0, 0.0]), gamma=2.0
    )
    for result in (value, gradient, second):
        assert result[:2].tolist() == [0.0, 0.0]
        assert np.isnan(result[2])


# Invalid data

LOGITS = np.array([0.5, -1.0, 2.0, -3.0])
BAD_SETTINGS = [
    ("targets", [0.0, 1.5, 1.0, 1.0]),
    ("targets", [0.0, -0.25, 1.0, 1.0]),
    ("targets", [0.0, np.nan, 1.0, 0.5]),
    ("targets", [0.0, np.inf, 1.0, 0.5]),
    ("targets", [0, 2, 1, 1]),
    ("targets", [0, -1, 1, 1]),
    ("signed", [1, 0, -1, -1]),
    ("signed", [1, 2, -1, -1]),
    ("signed", [1.0, 0.5, -1.0, -1.0]),
    ("signed", [1.0, np.nan, -1.0, -1.0]),
    ("alpha", [0.1, 1.25, 0.3, 0.4]),
    ("alpha", [0.1, -0.25, 0.3, 0.4]),
    ("alpha", [0.1, np.nan, 0.3, 0.4]),
    ("gamma", [0.0, -1.0, 2.0, 3.0]),
    ("gamma", [0.0, np.inf, 2.0, 3.0]),
    ("gamma", [0.0, np.nan, 2.0, 3.0]),
    ("weights", [1.0, -1.0, 0.0, 3.0]),
    ("weights", [1.0, np.inf, 0.0, 3.0]),
    ("weights", [1.0, np.nan, 0.0, 3.0]),
]


@every_namespace
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "numbers"), BAD_SETTINGS)
def test_an_element_out_of_range_is_nan_and_no_other_one(xp, dtype, name, numbers):
    parameters = {"alpha": 0.25, "gamma": 2.0}
    targets = np.array([1, 0, 1, 0])
    if name in ("targets", "signed"):
        targets = np.array(numbers)
        parameters["encoding"] = "signed" if name == "signed" else "binary"
    else:
        parameters[name] = np.array(numbers)
    for result in evaluated(LOGITS, targets, xp, dtype, **parameters):
        assert np.isnan(result).tolist() == [False, True, False, False]


def test_the_elements_beside_an_invalid_one_keep_their_bits():
    good, bad = np.array([0.0, 0.5, 1.0, 0.25]), np.array([0.0, np.nan, 1.0, 0.25])
    for left, right in zip(evaluated(LOGITS, good), evaluated(LOGITS, bad), strict=True):
        assert left[[0, 2, 3]].tolist() == right[[0, 2, 3]].tolist()


# Sums


@every_namespace
@pytest.mark.parametrize("size", [*range(20), 63, 64, 65, 1000])
def test_the_tree_sum_errs_by_an_ulp_a_level_at_most(xp, size):
    generator = np.random.default_rng(size)
    terms = generator.normal(0.0, 1.0, size) * 10.0 ** generator.uniform(-6.0, 6.0, size)
    found = float(tree_sum(xp, array_of(xp, terms)))
    levels = math.ceil(math.log2(size)) if size > 1 else 0
    assert abs(found - math.fsum(terms)) <= levels * 2.0**-53 * math.fsum(np.abs(terms))


@every_namespace
def test_the_tree_sum_of_any_shape_is_that_of_the_flat_array(xp):
    terms = np.random.default_rng(12).normal(0.0, 1.0, (5, 7, 3))
    flat = tree_sum(xp, array_of(xp, terms.reshape(-1)))
    assert float(tree_sum(xp, array_of(xp, terms))) == float(flat)


@every_namespace
def test_every_namespace_adds_in_the_same_order(xp):
    terms = np.random.default_rng(13).normal(0.0, 1.0, 12_345)
    assert float(tree_sum(xp, array_of(xp, terms))) == float(tree_sum(np, terms))
