"""The double-double reference against mpmath, which evaluates the paper's formula as printed."""

import ast
import inspect
from fractions import Fraction
from functools import partial

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

from focal_ref import _double_double, _exact
from focal_ref._exact import Exact, Unrounded, evaluate

FLOAT64 = {"minimum_exponent": -1022, "precision": 53}
FLOAT32 = {"minimum_exponent": -126, "precision": 24}
FLOAT16 = {"minimum_exponent": -14, "precision": 11}
BFLOAT16 = {"minimum_exponent": -126, "precision": 8}
LARGEST = np.finfo(np.float64).max
SMALLEST = np.nextafter(0.0, 1.0)
QUANTITIES = ("value", "gradient", "second_derivative")


def printed_formula(logit, target, alpha, gamma):
    """Evaluate what the paper prints, in the precision that is set; blended for soft targets."""
    p = 1 / (1 + mpmath.exp(-logit))
    target, gamma = mpf(target), mpf(gamma)
    alpha_t = 1 if alpha is None else mpf(alpha) * target + (1 - mpf(alpha)) * (1 - target)
    if target in (0, 1):
        p_t = p if target == 1 else 1 - p
        return -alpha_t * (1 - p_t) ** gamma * mpmath.log(p_t)
    p_t = p * target + (1 - p) * (1 - target)
    cross_entropy = -target * mpmath.log(p) - (1 - target) * mpmath.log(1 - p)
    return alpha_t * (1 - p_t) ** gamma * cross_entropy


def enough_bits(logit, gamma):
    """60 digits, the cancellation in 1 - p, that in a derivative of its size, and a large power."""
    return 200 + int(3.0 * abs(logit)) + int(mpmath.log(1 + mpf(gamma), 2))


def printed(logit, target, alpha, gamma):
    """Return value, first and second derivative."""
    with mp.workprec(enough_bits(logit, gamma)):
        loss = partial(printed_formula, target=target, alpha=alpha, gamma=gamma)
        point = mpf(logit)
        return loss(point), mpmath.diff(loss, point), mpmath.diff(loss, point, 2)


def nearest_float64(number):
    """Round to float64: Python divides integers of any size with one correct rounding."""
    numerator, denominator = mpmath.libmp.to_rational(number._mpf_)
    return int(numerator) / int(denominator)


def unrounded_numbers(quantity):
    """Return the numbers an `Unrounded` holds, without rounding."""
    with mp.workprec(400):
        return [
            mpmath.ldexp(mpf(float(high)) + mpf(float(low)), int(exponent))
            for high, low, exponent in zip(quantity.high.flat, quantity.low.flat, quantity.exponent.flat, strict=True)
        ]


def relative_errors(quantity, expected):
    with mp.workprec(400):
        return [
            float(abs(number / wanted - 1))
            for number, wanted in zip(unrounded_numbers(quantity), expected, strict=True)
        ]


def error_in_units(quantity, unit_exponent, expected):
    """Return the errors of the rounded quantity in units of 2^unit_exponent."""
    with mp.workprec(400):
        return max(
            float(abs(mpmath.ldexp(mpf(float(number)) - wanted, -int(unit))))
            for number, unit, wanted in zip(quantity.rounded(), unit_exponent, expected, strict=True)
        )


def random_logits(generator, count, gamma):
    """Draw from the middle, both tails up to the value's underflow, and next to zero."""
    vanishing = 745.0 / (gamma + 1.0)
    return np.concatenate(
        [
            generator.normal(0.0, 6.0, count - 3 * (count // 4)),
            generator.uniform(-60.0, vanishing, count // 4),
            generator.choice([-1.0, 1.0], count // 4) * 10.0 ** generator.uniform(-20, 2, count // 4),
            generator.uniform(0.97 * vanishing, 1.01 * vanishing, count // 4),
        ]
    )


def of_signs(margins, targets):
    return np.where(targets == 1.0, margins, -margins)


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_hard_targets_give_the_float64_nearest_to_the_printed_formula(gamma, alpha):
    generator = np.random.default_rng(1)
    targets = generator.integers(0, 2, 170).astype(np.float64)
    logits = of_signs(random_logits(generator, 170, gamma), targets)
    exact = evaluate(logits, targets, alpha=alpha, gamma=gamma)
    expected = [printed(*point, alpha, gamma) for point in zip(logits, targets, strict=True)]
    for name, column in zip(QUANTITIES, zip(*expected, strict=True), strict=True):
        wanted = [nearest_float64(number) for number in column]
        np.testing.assert_array_equal(getattr(exact, name).rounded(), wanted, err_msg=name)


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 20.0])
def test_soft_targets_are_within_half_an_ulp_of_the_scale(gamma):
    generator = np.random.default_rng(2)
    targets = np.concatenate(
        [
            generator.random(35),
            10.0 ** -generator.uniform(0, 40, 20),
            1 - 2.0**-53 * np.arange(1, 21),
        ]
    )
    logits = generator.permutation(random_logits(generator, 75, gamma))
    exact = evaluate(logits, targets, alpha=0.3, gamma=gamma)
    expected = [printed(*point, 0.3, gamma) for point in zip(logits, targets, strict=True)]
    values, gradients, second_derivatives = zip(*expected, strict=True)
    unit = exact.value.unit_exponent(**FLOAT64)
    assert error_in_units(exact.value, unit, values) < 0.5001
    unit = exact.gradient_scale.unit_exponent(**FLOAT64)
    assert error_in_units(exact.gradient, unit, gradients) < 0.5001
    unit = exact.second_derivative_scale.unit_exponent(**FLOAT64)
    assert error_in_units(exact.second_derivative, unit, second_derivatives) < 0.5001


@pytest.mark.parametrize("gamma", [1e-300, 1e-8, 0.1, 3.7, 50.0, 1e3, 1e6])
def test_other_gammas_round_correctly_too(gamma):
    generator = np.random.default_rng(3)
    # Around log(gamma), (1 - p_t)^gamma falls from 1 to nothing.
    margins = generator.uniform(-max(5.0, np.log(gamma) + 3.0), 3.0, 40)
    exact = evaluate(margins, np.ones(40), gamma=gamma)
    expected = [printed(margin, 1.0, None, gamma) for margin in margins]
    for name, column in zip(QUANTITIES, zip(*expected, strict=True), strict=True):
        wanted = [nearest_float64(number) for number in column]
        np.testing.assert_array_equal(getattr(exact, name).rounded(), wanted, err_msg=name)


def test_a_gamma_of_1e300_meets_a_probability_of_1e_minus_300():
    margins = np.array([-684.0, -690.7755278982137, -700.0, -744.0])
    exact = evaluate(margins, np.ones(4), gamma=1e300)
    expected = [printed(margin, 1.0, None, 1e300) for margin in margins]
    for name, column in zip(QUANTITIES, zip(*expected, strict=True), strict=True):
        wanted = [nearest_float64(number) for number in column]
        np.testing.assert_array_equal(getattr(exact, name).rounded(), wanted, err_msg=name)


def test_results_far_below_the_smallest_subnormal_keep_their_precision():
    margins = np.array([300.5, 1000.25, 2000.125])
    exact = evaluate(margins, np.ones(3), gamma=5.0)
    expected = [printed(margin, 1.0, None, 5.0) for margin in margins]
    assert exact.value.exponent[-1] < -17000
    for name, column in zip(QUANTITIES, zip(*expected, strict=True), strict=True):
        quantity = getattr(exact, name)
        assert max(relative_errors(quantity, column)) < 2.0**-85
        np.testing.assert_array_equal(quantity.rounded(), 0.0)


def test_logits_beyond_any_exponential_keep_a_value_or_vanish():
    # With t = 1 and s = -1e9, everything but the linear part is below 2^-1e9.
    exact = evaluate(np.array([-1e9, 1e9]), np.ones(2), gamma=2.0)
    np.testing.assert_array_equal(exact.value.rounded(), [1e9, 0.0])
    # log2 of s e^(-s (gamma + 1)) at s = 1e9, of which the exponent is the integer part.
    assert exact.value.exponent[1] == pytest.approx(-3e9 / np.log(2.0), abs=2.0)
    exact = evaluate(np.array([1e300]), np.ones(1), gamma=2.0)
    assert (exact.value.high, exact.value.exponent) == (0.0, 0)


@pytest.mark.parametrize("gamma", [0.0, 1e-8, 0.25, 2.0, 5.0])
@pytest.mark.parametrize("alpha", [0.25, 0.3])
def test_ties_of_the_saturated_loss_are_decided_by_what_lies_beyond_106_bits(gamma, alpha):
    # (1 - 0.25) |x| is half way between two float64 numbers for one x in four, and 1 - 0.3 itself
    # is; what decides is |x| exp(-|x|) or less.
    generator = np.random.default_rng(4)
    logits = np.concatenate([generator.uniform(70.0, 76.0, 20), generator.uniform(76.0, 1500.0, 20)])
    exact = evaluate(logits, np.zeros(40), alpha=alpha, gamma=gamma)
    for index, logit in enumerate(logits):
        # mpmath keeps the rest; it takes the bits of exp(-|x|) and those of the sum.
        with mp.workprec(enough_bits(logit, gamma)):
            loss = partial(printed_formula, target=0.0, alpha=alpha, gamma=gamma)
            value, gradient = loss(mpf(logit)), mpmath.diff(loss, mpf(logit))
        assert exact.value.rounded()[index] == nearest_float64(value)
        assert exact.gradient.rounded()[index] == nearest_float64(gradient)


def test_the_second_derivative_at_its_root_is_right_in_units_of_its_scale():
    root = -2.790377480551759
    margins = root + np.spacing(root) * np.arange(-4.0, 5.0)
    exact = evaluate(margins, np.ones(9), gamma=2.0)
    expected = [printed(margin, 1.0, None, 2.0)[2] for margin in margins]
    # Some 50 of the 106 bits cancel.
    assert max(relative_errors(exact.second_derivative, expected)) < 2.0**-45
    unit = exact.second_derivative_scale.unit_exponent(**FLOAT64)
    high, low = exact.second_derivative.in_units(unit)
    assert np.all(np.abs(high + low) < 10.0)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_the_scales_of_hard_targets_are_those_of_the_documentation(gamma):
    margins = np.array([-30.0, -2.8, -0.5, 0.0, 1.0, 40.0])
    exact = evaluate(margins, np.ones(6), gamma=gamma)
    np.testing.assert_array_equal(exact.gradient_scale.high, np.abs(exact.gradient.high))
    np.testing.assert_array_equal(exact.gradient_scale.exponent, exact.gradient.exponent)
    expected = []
    with mp.workprec(400):
        for margin in margins:
            p = 1 / (1 + mpmath.exp(-mpf(margin)))
            q, c = 1 - p, -mpmath.log(p)
            expected.append(q**gamma * p * (gamma * c * (gamma * p + q) + (2 * gamma + 1) * q))
    assert max(relative_errors(exact.second_derivative_scale, expected)) < 2.0**-95


def test_a_scale_is_never_below_what_it_measures():
    generator = np.random.default_rng(5)
    logits, targets = generator.normal(0.0, 10.0, 500), generator.random(500)
    exact = evaluate(logits, targets, gamma=generator.uniform(0.0, 5.0, 500))
    for name in ("gradient", "second_derivative"):
        magnitude = np.abs(getattr(exact, name).rounded())
        assert np.all(magnitude <= getattr(exact, f"{name}_scale").rounded())


@pytest.mark.parametrize("zero", [0.0, -0.0, SMALLEST, -SMALLEST])
@pytest.mark.parametrize("gamma", [0.0, 0.25, 1.0, 2.0, 5.0])
def test_at_zero_the_results_are_powers_of_two_times_logarithms_of_two(zero, gamma):
    exact = evaluate(np.array([zero]), np.ones(1), gamma=gamma)
    with mp.workprec(300):
        log_2, power = mpmath.log(2), mpf(2) ** -gamma
        value = power * log_2
        gradient = -power * (gamma * log_2 + 1) / 2
        second_derivative = power * (gamma * (gamma - 1) * log_2 + 2 * gamma + 1) / 4
    assert exact.value.rounded() == nearest_float64(value)
    assert exact.gradient.rounded() == nearest_float64(gradient)
    assert exact.second_derivative.rounded() == nearest_float64(second_derivative)


@pytest.mark.parametrize("gamma", [0.0, 1e-300, 0.5, 2.0, 1e300])
def test_infinite_margins_give_the_limits_with_their_signs(gamma):
    logits, targets = np.array([np.inf, -np.inf, -np.inf, np.inf]), np.array([1.0, 1.0, 0.0, 0.0])
    exact = evaluate(logits, targets, gamma=gamma)
    np.testing.assert_array_equal(exact.value.rounded(), [0.0, np.inf, 0.0, np.inf])
    gradient = exact.gradient.rounded()
    np.testing.assert_array_equal(gradient, [-0.0, -1.0, 0.0, 1.0])
    np.testing.assert_array_equal(np.signbit(gradient), [True, True, False, False])
    second_derivative = exact.second_derivative.rounded()
    np.testing.assert_array_equal(second_derivative, 0.0)
    assert not np.signbit(second_derivative).any()


def test_infinite_logits_of_soft_targets_have_infinite_value_and_a_finite_gradient():
    exact = evaluate(np.array([np.inf, -np.inf]), np.array([0.25, 0.25]), gamma=2.0)
    np.testing.assert_array_equal(exact.value.rounded(), [np.inf, np.inf])
    np.testing.assert_array_equal(exact.gradient.rounded(), [0.75**3, -(0.25**3)])
    np.testing.assert_array_equal(exact.second_derivative.rounded(), [0.0, 0.0])


def test_a_gradient_too_small_for_float64_is_a_zero_with_its_sign():
    gradient = evaluate(np.array([800.0, 1e200]), np.ones(2)).gradient.rounded()
    np.testing.assert_array_equal(gradient, 0.0)
    assert np.signbit(gradient).all()


@pytest.mark.parametrize("field", [*QUANTITIES, "gradient_scale", "second_derivative_scale"])
def test_nan_and_targets_outside_the_unit_interval_give_nan_in_their_element_only(field):
    logits = np.array([np.nan, 1.0, 1.0, 1.0, 1.0, np.nan])
    targets = np.array([1.0, np.nan, -0.1, 1.1, 1.0, 0.0])
    result = getattr(evaluate(logits, targets, alpha=1.0), field)
    np.testing.assert_array_equal(np.isnan(result.rounded()), [1, 1, 1, 1, 0, 1])
    np.testing.assert_array_equal(result.low[:4], 0.0)
    np.testing.assert_array_equal(result.exponent[:4], 0)


@pytest.mark.parametrize("field", [*QUANTITIES, "gradient_scale", "second_derivative_scale"])
def test_a_class_of_weight_zero_gives_zero_even_where_the_loss_is_infinite(field):
    logits = np.array([-np.inf, np.inf, 3.0, -LARGEST])
    for alpha, target in ((0.0, 1.0), (1.0, 0.0)):
        result = getattr(evaluate(logits, np.full(4, target), alpha=alpha), field)
        np.testing.assert_array_equal(result.rounded(), 0.0)


GAMMAS_WITHOUT_LIMITS = [
    0.0,
    SMALLEST,
    1e-300,
    1e-8,
    0.25,
    1.0,
    5.0,
    1e3,
    1e6,
    1e18,
    1e300,
    LARGEST,
]


@pytest.mark.parametrize("gamma", GAMMAS_WITHOUT_LIMITS)
@pytest.mark.parametrize("alpha", [None, SMALLEST, 0.25, 1.0])
def test_no_finite_input_gives_nan_or_infinity(gamma, alpha):
    magnitudes = [0.0, SMALLEST, 1e-300, 1e-8, 1.0, 36.0, 700.0, 745.0, 1e4, 1e12, 1e100, LARGEST]
    shares = [0.0, SMALLEST, 1e-17, 0.25, 0.5, 1.0 - 2.0**-53, 1.0]
    logits = np.array([*magnitudes, *np.negative(magnitudes)])[:, None] * np.ones(len(shares))
    exact = evaluate(logits, np.broadcast_to(shares, logits.shape), alpha=alpha, gamma=gamma)
    for field in (*QUANTITIES, "gradient_scale", "second_derivative_scale"):
        assert np.isfinite(getattr(exact, field).rounded()).all()


def test_the_largest_logit_has_the_largest_value():
    exact = evaluate(np.array([-LARGEST]), np.ones(1), gamma=1e300)
    assert exact.value.rounded() == LARGEST
    assert exact.gradient.rounded() == -1.0


@pytest.mark.parametrize("alpha", [1e-30, 0.1, 1.0 - 2.0**-53])
def test_one_minus_alpha_is_not_rounded(alpha):
    logits = np.array([-1.25, 0.5])
    value = evaluate(logits, np.zeros(2), alpha=alpha).value
    expected = [printed(logit, 0.0, alpha, 2.0)[0] for logit in logits]
    assert max(relative_errors(value, expected)) < 2.0**-95


def test_alpha_and_gamma_broadcast_to_the_logits():
    generator = np.random.default_rng(6)
    logits, targets = generator.normal(size=(3, 4)), generator.random((3, 4))
    alpha, gamma = np.array([[0.1], [0.5], [1.0]]), np.array([0.0, 0.5, 2.0, 1e5])
    together = evaluate(logits, targets, alpha=alpha, gamma=gamma)
    for row, column in np.ndindex(3, 4):
        single = evaluate(logits[row, column], targets[row, column], alpha=alpha[row, 0], gamma=gamma[column])
        assert_same(single, (), together, (row, column))


def assert_same(left: Exact, left_index, right: Exact, right_index):
    for field in (*QUANTITIES, "gradient_scale", "second_derivative_scale"):
        for part in ("high", "low", "exponent"):
            np.testing.assert_array_equal(
                getattr(getattr(left, field), part)[left_index],
                getattr(getattr(right, field), part)[right_index],
            )


def test_an_element_does_not_depend_on_its_neighbours_or_its_block():
    generator = np.random.default_rng(7)
    count = 2 * _exact._BLOCK + 3
    logits = generator.normal(0.0, 300.0, count)
    targets = np.where(np.arange(count) < count // 2, generator.random(count), 1.0)
    gamma = generator.uniform(0.0, 5.0, count)
    together = evaluate(logits, targets, gamma=gamma)
    for part in (slice(0, 5), slice(count // 2 - 2, count // 2 + 2), slice(count - 9, count)):
        alone = evaluate(logits[part], targets[part], gamma=gamma[part])
        assert_same(alone, slice(None), together, part)


def test_exchanging_the_classes_changes_the_sign_of_the_gradient_and_nothing_else():
    generator = np.random.default_rng(8)
    logits, targets = generator.normal(0.0, 20.0, 300), generator.random(300)
    targets = np.round(targets * 8.0) / 8.0  # so that 1 - t is exact
    one, other = evaluate(logits, targets), evaluate(-logits, 1.0 - targets)
    np.testing.assert_array_equal(one.value.rounded(), other.value.rounded())
    np.testing.assert_array_equal(one.gradient.rounded(), -other.gradient.rounded())
    np.testing.assert_array_equal(one.second_derivative.rounded(), other.second_derivative.rounded())


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1,), (2, 3)])
def test_results_have_the_shape_of_the_logits(shape):
    exact = evaluate(np.full(shape, 0.5), np.full(shape, 1.0), alpha=0.25, gamma=1.0)
    for field in (*QUANTITIES, "gradient_scale", "second_derivative_scale"):
        result = getattr(exact, field)
        assert result.high.shape == result.low.shape == result.exponent.shape == shape
        assert result.rounded().shape == shape
        assert result.unit_exponent(**FLOAT32).shape == shape


def test_inputs_are_not_written_to():
    arrays = [
        np.array([-3.0, 3.0]),
        np.array([0.0, 0.7]),
        np.array([0.1, 0.9]),
        np.array([0.0, 2.0]),
    ]
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    evaluate(arrays[0], arrays[1], alpha=arrays[2], gamma=arrays[3])
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_different_shapes_are_refused_with_both_named():
    with pytest.raises(ValueError, match=r"differ in shape: \(2, 3\) and \(3,\)"):
        evaluate(np.zeros((2, 3)), np.zeros(3))


@pytest.mark.parametrize("gamma", [-1.0, np.inf, np.nan])
def test_a_gamma_out_of_range_is_refused(gamma):
    with pytest.raises(ValueError, match=r"gamma must be in \[0, .*got .*" + str(gamma)):
        evaluate(np.zeros(2), np.zeros(2), gamma=[2.0, gamma])


@pytest.mark.parametrize("alpha", [-1.0, 1.5, np.nan])
def test_an_alpha_out_of_range_is_refused(alpha):
    with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\], got .*" + str(alpha)):
        evaluate(np.zeros(2), np.zeros(2), alpha=alpha)


def test_parameters_that_would_enlarge_the_result_are_refused():
    with pytest.raises(ValueError, match=r"gamma .*\(3, 2\) .*broadcast .*\(2,\)"):
        evaluate(np.zeros(2), np.zeros(2), gamma=np.ones((3, 2)))


def test_rounding_to_float64_happens_once_also_among_the_subnormals():
    generator = np.random.default_rng(9)
    count = 4000
    # Significands of few bits make ties of the first rounding; the low part then decides, or not.
    high = np.round(generator.uniform(0.5, 1.0, count) * 2.0**12) * 2.0**-12
    high += generator.choice([0.0, 2.0**-40, 2.0**-52], count)
    low = generator.choice([0.0, 2.0**-54, -(2.0**-54), 2.0**-90, -(2.0**-90)], count)
    exponent = generator.integers(-1090, -1015, count)
    sign = generator.choice([-1.0, 1.0], count)
    rounded = Unrounded(sign * high, sign * low, exponent).rounded()
    for index in range(count):
        fraction = Fraction(high[index]) + Fraction(low[index])
        fraction *= Fraction(2) ** int(exponent[index])
        wanted = fraction.numerator / fraction.denominator
        assert rounded[index] == sign[index] * wanted


def test_rounding_keeps_infinities_nan_and_the_signs_of_zeros_and_overflows():
    high = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 0.75, -0.75, -0.75])
    exponent = np.array([0, 0, 0, 0, 0, 1025, 2**40, -(2**40)])
    rounded = Unrounded(high, np.zeros(8), exponent).rounded()
    expected = [np.inf, -np.inf, np.nan, 0.0, -0.0, np.inf, -np.inf, -0.0]
    np.testing.assert_array_equal(rounded, expected)
    np.testing.assert_array_equal(np.signbit(rounded), np.signbit(expected))


@pytest.mark.parametrize("number_format", [FLOAT64, FLOAT32, FLOAT16, BFLOAT16])
def test_the_unit_is_that_of_the_exact_number_and_stays_at_the_smallest_subnormal(number_format):
    minimum_exponent, precision = number_format["minimum_exponent"], number_format["precision"]
    # 1, just below 1, 1.5 * the smallest normal number, a hundredth of the smallest subnormal, 0.
    high = np.array([0.5, 0.5, 0.75, 0.5, 0.0])
    low = np.array([0.0, -(2.0**-80), 0.0, 0.0, 0.0])
    exponent = np.array([1, 1, minimum_exponent + 1, minimum_exponent - precision - 6, 0])
    numbers = Unrounded(high, low, exponent)
    smallest = minimum_exponent - precision + 1
    unit = numbers.unit_exponent(**number_format)
    np.testing.assert_array_equal(unit, [1 - precision, -precision, smallest, smallest, smallest])
    high, low = numbers.in_units_of_last_place(**number_format)
    leading = 2.0 ** (precision - 1)
    np.testing.assert_array_equal(high, [leading, 2.0 * leading, 1.5 * leading, 2.0**-8, 0.0])
    np.testing.assert_array_equal(low, [0.0, -(2.0 ** (precision - 79)), 0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("dtype", "number_format"),
    [(np.float64, FLOAT64), (np.float32, FLOAT32), (np.float16, FLOAT16)],
)
def test_the_error_of_a_rounded_result_is_at_most_half_a_unit(dtype, number_format):
    # NumPy rounds a float64 to the narrower format once more: half a unit, and 2^-29 of one.
    generator = np.random.default_rng(10)
    value = evaluate(generator.uniform(-20.0, 40.0, 3000), np.ones(3000)).value
    got = value.rounded().astype(dtype).astype(np.float64)
    unit = value.unit_exponent(**number_format)
    high, low = value.in_units_of_last_place(**number_format)
    error = np.abs((np.ldexp(got, -unit) - high) - low)
    assert 0.45 < error.max() <= 0.5 + 2.0**-29


def test_nothing_but_numpy_and_the_standard_library_is_imported():
    imported = set()
    for module in (_exact, _double_double):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module)
            elif isinstance(node, ast.Import):
                imported.update(name.name for name in node.names)
    assert imported <= {
        "dataclasses",
        "typing",
        "numpy",
        "numpy.typing",
        "focal_ref._double_double",
    }


@pytest.mark.parametrize("exponent", [-300, -65, -64, -20, -1, 0, 1, 5, 200, 10**6])
def test_log1p_and_exp_keep_their_relative_error_from_tiny_to_huge_arguments(exponent):
    generator = np.random.default_rng(11)
    high = generator.uniform(0.5, 1.0, 50)
    argument = Unrounded(high, generator.uniform(-0.5, 0.5, 50) * 2.0**-54, np.full(50, exponent))
    with mp.workprec(400):
        numbers = unrounded_numbers(argument)
        logarithms = [mpmath.log1p(number) for number in numbers]
        assert max(relative_errors(_double_double.log1p(argument), logarithms)) < 2.0**-100
        if exponent <= 20:
            for sign, signed in ((1, argument), (-1, -argument)):
                exponentials = [mpmath.exp(sign * number) for number in numbers]
                result = _double_double.exponential(signed)
                bound = 2.0**-100 + 2.0 ** (exponent - 104)
                assert max(relative_errors(result, exponentials)) < bound
