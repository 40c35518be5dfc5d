"""The focal loss's derivatives in gamma and in the target, against numerical derivatives of the printed formula."""

import math

import array_api_strict
import numba
import numpy as np
import pytest
from array_api_compat import numpy as numpy_namespace
from mpmath import mp, mpf

from focal_ref._formulas import array_primitives, hard_forms, soft_forms
from focal_ref._kernels.primitives import has_fused_multiply_add, kernel_primitives

from .test_quality import NAMESPACES, digits, error_in_ulps, random_points, special_points

GAMMAS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 5.0)
FORMATS = {"float64": (53, -1074), "float32": (24, -149)}
EXTREME_MAGNITUDES = (0.0, 5e-324, 1e-300, 1e-16, 0.7, 37.0, 709.0, 745.0, 800.0, 1e4, 1e30, 1e160, 1.7e308)
EXTREME_TARGETS = (0.0, 1.0, 5e-324, 1e-300, 2.0**-53, 0.02, 0.5, 1.0 - math.exp(-5.0), 1.0 - 2.0**-53)
EXTREME_GAMMAS = (0.0, 5e-324, 1e-300, 1e-4, 0.5, 2.0, 100.0, 1025.0, 1300.0, 2e3, 1e5, 1e20, 1e150, 1e300, 1.7e308)

every_gamma = pytest.mark.parametrize("gamma", GAMMAS)
every_namespace = pytest.mark.parametrize("xp", NAMESPACES.values(), ids=NAMESPACES)
both_dtypes = pytest.mark.parametrize("dtype", FORMATS)


def soft(logits, targets, gamma, xp=numpy_namespace, dtype="float64", exponent=None):
    """Both derivatives for soft targets, by name."""
    arrays = [
        xp.asarray(np.asarray(a, dtype=dtype)) for a in (logits, targets, np.broadcast_to(gamma, np.shape(logits)))
    ]
    forms = soft_forms(array_primitives(xp, arrays[0].dtype), exponent)
    with np.errstate(all="ignore"):
        results = {"gamma": forms.gamma_derivative(*arrays), "targets": forms.target_derivative(*arrays)}
    assert all(result.dtype == arrays[0].dtype for result in results.values())
    return {name: np.asarray(result) for name, result in results.items()}


def hard(margins, gamma, xp=numpy_namespace, dtype="float64", exponent=None):
    """The derivative in gamma for hard targets."""
    margins, gammas, tail = (xp.asarray(np.full(np.shape(margins), a, dtype=dtype)) for a in (margins, gamma, 0.0))
    forms = hard_forms(array_primitives(xp, margins.dtype), exponent)
    with np.errstate(all="ignore"):
        return np.asarray(forms.gamma_derivative(margins, gammas, tail))


def printed(x, t, gamma):
    """(1 - p_t)^gamma times the cross entropy, as printed."""
    p = 1 / (1 + mp.exp(-x))
    q = 1 / (1 + mp.exp(x))
    return (p * (1 - t) + q * t) ** gamma * -(t * mp.log(p) + (1 - t) * mp.log(q))


def exact(name, logit, target, gamma):
    """A derivative by numerical differentiation."""
    with mp.workdps(digits(logit, target, {"gamma": gamma})):
        x, t, g = mpf(float(logit)), mpf(float(target)), mpf(gamma)
        if name == "gamma":
            return mp.diff(lambda g: printed(x, t, g), g)
        return mp.diff(lambda t: printed(x, t, g), t)


def assert_within(found, logits, targets, gamma, bound, dtype="float64"):
    precision, smallest = FORMATS[dtype]
    for index, (logit, target) in enumerate(zip(logits, targets, strict=True)):
        for name, result in found.items():
            number = exact(name, logit, target, gamma)
            error = error_in_ulps(result[index], number, number, precision=precision, smallest=smallest)
            point = (float(logit), float(target), gamma)
            assert error <= bound, f"{name} at {point}: {error:.4g} ulp: {result[index]!r}, not {float(number)!r}"


# Accuracy


@every_gamma
def test_random_points_are_within_the_bound(gamma):
    logits, targets = random_points(150, 1)
    assert_within(soft(logits, targets, gamma), logits, targets, gamma, 8.0 + 2.0 * gamma)


@pytest.mark.parametrize("gamma", [0.25, 2.0])
def test_special_points_are_within_the_bound(gamma):
    logits, targets = special_points()
    assert_within(soft(logits, targets, gamma), logits, targets, gamma, 8.0 + 2.0 * gamma)


@pytest.mark.parametrize("gamma", [0.0, 0.5])
def test_targets_that_are_nearly_hard_are_within_the_bound_where_the_exponential_is_small_too(gamma):
    generator = np.random.default_rng(10)
    logits = np.concatenate([generator.uniform(-100.0, 100.0, 40), generator.uniform(-745.0, -700.0, 10)])
    targets = 10.0 ** -np.concatenate([generator.uniform(20.0, 44.0, 40), generator.uniform(295.0, 305.0, 10)])
    assert_within(soft(logits, targets, gamma), logits, targets, gamma, 8.0 + 2.0 * gamma)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_every_array_namespace_is_within_the_bound(gamma):
    logits, targets = random_points(40, 2, spread=20.0)
    for exponent in (None, gamma) if gamma in (0.0, 1.0, 2.0) else (None,):
        found = soft(logits, targets, gamma, array_api_strict, exponent=exponent)
        assert_within(found, logits, targets, gamma, 8.0 + 2.0 * gamma)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_float32_arithmetic_is_within_its_bound(gamma):
    logits, targets = random_points(100, 3, dtype=np.float32)
    found = soft(logits, targets, gamma, dtype="float32")
    assert_within(found, logits, targets, gamma, 10.0 + 2.0 * gamma, "float32")


@pytest.mark.parametrize("gamma", [0.0, 0.25, 2.0])
def test_next_to_zero_the_derivative_in_the_target_vanishes_as_the_logit_does(gamma):
    logits = np.random.default_rng(4).choice([-1.0, 1.0], 60) * 10.0 ** -np.linspace(0.0, 300.0, 60)
    targets = np.random.default_rng(5).random(60)
    found = soft(logits, targets, gamma)["targets"]
    assert_within({"targets": found}, logits, targets, gamma, 8.0 + 2.0 * gamma)


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5])
def test_a_subnormal_exponential_costs_the_hard_form_no_digits(gamma):
    margins = np.concatenate([np.linspace(-745.0, -700.0, 12), np.linspace(700.0, 745.0, 12) / (1.0 + gamma)])
    found = hard(margins, gamma)
    assert np.all(found < 0.0)
    assert_within({"gamma": found}, margins, np.ones(24), gamma, 8.0 + 2.0 * gamma)


@both_dtypes
@every_gamma
def test_the_hard_form_is_within_the_bound_for_special_exponents_too(gamma, dtype):
    margins = np.random.default_rng(6).normal(0.0, 8.0, 60).astype(dtype)
    bound = (8.0 if dtype == "float64" else 10.0) + 2.0 * gamma
    for exponent in (None, gamma) if gamma in (0.0, 1.0, 2.0) else (None,):
        found = {"gamma": hard(margins, gamma, dtype=dtype, exponent=exponent)}
        assert_within(found, margins, np.ones(60), gamma, bound, dtype)


def test_a_compiled_kernel_is_within_the_bound():
    gamma = 0.5
    form = hard_forms(kernel_primitives("float64", has_fused_multiply_add())).gamma_derivative

    @numba.njit(error_model="numpy")
    def loop(margins, gamma, results):
        for index in range(margins.size):
            results[index] = form(margins[index], gamma, 0.0)

    margins = np.concatenate([np.random.default_rng(7).normal(0.0, 8.0, 60), [-740.0, -705.0, 36.0, 240.0]])
    found = np.empty_like(margins)
    loop(margins, gamma, found)
    assert_within({"gamma": found}, margins, np.ones(margins.size), gamma, 8.0 + 2.0 * gamma)
    limits = np.array([np.inf, -np.inf, 1e300, -1e300, np.nan])
    found = np.empty_like(limits)
    loop(limits, gamma, found)
    assert found[:4].tolist() == [0.0] * 4
    assert np.isnan(found[4])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_rounded_to_float32_the_nearest_number_comes_out(gamma):
    logits, targets = random_points(120, 8, dtype=np.float32)
    with np.errstate(under="ignore"):
        found = {name: result.astype(np.float32) for name, result in soft(logits, targets, gamma).items()}
    assert_within(found, logits, targets, gamma, 0.501, "float32")


@every_gamma
def test_targets_of_zero_and_one_give_the_bits_of_the_hard_form(gamma):
    generator = np.random.default_rng(9)
    logits = np.concatenate([generator.normal(0.0, 6.0, 2000), generator.uniform(-1500.0, 1500.0, 1000)])
    logits = np.concatenate([logits, [0.0, -0.0, np.inf, -np.inf, 1e4, -1e4, 1e5, -1e300]])
    targets = generator.integers(0, 2, logits.size).astype(np.float64)
    for exponent in (None, gamma) if gamma in (0.0, 1.0, 2.0) else (None,):
        left = hard(np.where(targets > 0.0, logits, -logits), gamma, exponent=exponent)
        right = soft(logits, targets, gamma, exponent=exponent)["gamma"]
        np.testing.assert_array_equal(left.view(np.int64), right.view(np.int64))


# Limits


@every_namespace
@every_gamma
def test_at_zero_the_derivative_in_gamma_is_that_of_the_table(xp, gamma):
    with mp.workdps(40):
        number = -(mpf(2) ** -mpf(gamma)) * mp.log(2) ** 2
    for found in (
        hard([0.0, -0.0], gamma, xp),
        *(soft([0.0, -0.0], [t, t], gamma, xp)["gamma"] for t in (0.0, 0.3, 1.0)),
    ):
        assert max(error_in_ulps(result, number, number) for result in found) <= 8.0


@every_namespace
@every_gamma
def test_infinite_logits_give_the_limits_of_the_derivative_in_gamma(xp, gamma):
    found = hard([np.inf, -np.inf], gamma, xp)
    assert found.tolist() == [0.0, 0.0]
    assert np.signbit(found).all()
    # With an exponent of 5000, (1 - p_t)^gamma is less than the smallest number, but not 0.
    for exponent in (gamma, 5000.0):
        found = soft([np.inf, -np.inf] * 3, np.repeat([0.0, 0.25, 1.0], 2), exponent, xp)["gamma"]
        assert found.tolist() == [0.0, 0.0, -np.inf, -np.inf, 0.0, 0.0]


@every_namespace
@every_gamma
def test_infinite_logits_give_the_limits_of_the_derivative_in_the_target(xp, gamma):
    found = soft([np.inf, -np.inf] * 3, np.repeat([0.0, 0.25, 1.0], 2), gamma, xp)["targets"]
    # With a gamma the loss of a logit that is right decays exponentially; without, the derivative is -x.
    right = np.inf if gamma == 0.0 else 0.0
    assert found.tolist() == [-np.inf, right, -np.inf, np.inf, -right, np.inf]


@pytest.mark.parametrize("gamma", [0.0, 0.25, 2.0, 300.0])
@pytest.mark.parametrize("logit", [1e4, -1e5, 1e30, -1e300])
def test_far_from_zero_one_side_is_all_that_is_left(logit, gamma):
    # Of a target that weighs the opposite side by B > 0 the loss is B^(gamma+1) |x|.
    opposite = np.array([1.0, 0.5, 2.0**-50] + ([1e-20, 1e-200, 1e-310] if logit < 0.0 else []))
    targets = 1.0 - opposite if logit > 0.0 else opposite
    found = soft(np.full(opposite.size, logit), targets, gamma)
    with mp.workdps(60):
        magnitude, sign, g = mpf(abs(logit)), mp.sign(logit), mpf(gamma)
        for index, number in enumerate(opposite):
            b = mpf(float(number))
            for name, limit in (
                ("gamma", b ** (g + 1) * magnitude * mp.log(b)),
                ("targets", -sign * (g + 1) * b**g * magnitude),
            ):
                assert error_in_ulps(found[name][index], limit, limit) <= 8.0 + 2.0 * gamma, (name, number)


@pytest.mark.parametrize(
    ("logit", "gamma"),
    [(800.0, 0.25), (1e4, 1e-2), (1e6, 1e-5), (1e30, 1e-30), (1e30, 3e-28), (1e308, 1e-306), (3e5, 2.5e-3)],
)
def test_however_small_gamma_is_the_derivative_in_the_target_decays_with_it(logit, gamma):
    # It is exp(-gamma |x|) (gamma + |x|) up to terms in exp(-|x|). The exponential may be subnormal, and it is not.
    found = soft([logit, -logit], [1.0, 0.0], gamma)["targets"]
    with mp.workdps(60):
        x, g = mpf(logit), mpf(gamma)
        number = mp.exp(-g * x) * (g + x)
    assert error_in_ulps(-found[0], number, number) <= 8.0
    assert found[1] == -found[0]


def test_without_gamma_the_derivative_in_the_target_is_the_logit_with_the_other_sign():
    logits = np.array([-1e300, -3.0, 1e-320, 0.25, 40.0, 1e5])
    for exponent in (None, 0.0):
        assert np.array_equal(soft(logits, np.linspace(0.0, 1.0, 6), 0.0, exponent=exponent)["targets"], -logits)


@every_namespace
def test_no_finite_logit_gives_nan_whatever_target_and_gamma(xp):
    magnitudes = np.array(EXTREME_MAGNITUDES)
    grid = np.meshgrid(np.concatenate([-magnitudes, magnitudes]), EXTREME_TARGETS, EXTREME_GAMMAS)
    logits, targets, gammas = (axis.reshape(-1) for axis in grid)
    results = soft(logits, targets, gammas, xp) | {"hard": hard(logits, gammas, xp)}
    for name, result in results.items():
        wrong = np.isnan(result)
        assert not wrong.any(), (name, logits[wrong][:5], targets[wrong][:5], gammas[wrong][:5])
    # Every loss falls with gamma, and with a target that the logit speaks for.
    assert np.all(results["gamma"] <= 0.0)
    assert np.all(results["targets"] * np.sign(logits) <= 0.0)


def test_nan_logits_give_nan():
    logits, targets = np.full(9, np.nan), np.array(EXTREME_TARGETS)
    for result in (*soft(logits, targets, 2.0).values(), hard(logits, 2.0), *soft(logits, targets, 0.0).values()):
        assert np.isnan(result).all()


@every_namespace
@pytest.mark.parametrize(("logit", "target"), [(5.0, 1.0 - 0.9 * math.exp(-5.0)), (0.01, 0.02), (-3.0, 0.04)])
@pytest.mark.parametrize("gamma", [1300.0, 2000.0, 1e5, 1e300])
def test_a_huge_gamma_makes_the_loss_of_a_soft_target_zero_and_not_nan(xp, logit, target, gamma):
    arguments = [xp.asarray([number]) for number in (logit, target, gamma)]
    forms = soft_forms(array_primitives(xp, xp.float64))
    with np.errstate(all="ignore"):
        results = (*forms.value_and_gradient(*arguments), forms.second_derivative(*arguments))
    assert [float(result[0]) for result in results] == [0.0, 0.0, 0.0]
