"""The quality focal loss and its derivatives, against the printed formula and its numerical derivatives."""

import math

import array_api_strict
import numpy as np
import pytest
from array_api_compat import numpy as numpy_namespace
from mpmath import mp, mpf

from focal_ref._formulas.primitives import array_primitives
from focal_ref._formulas.quality import QUALITY

NAMESPACES = {"numpy": numpy_namespace, "array_api_strict": array_api_strict}
LOGITS = (1e-9, 0.7, 36.9, 104.5, 740.0)
TARGETS = (0.0, 1.0, 0.5, 1e-20, 1.0 - 2.0**-53)
EXTREME_LOGITS = (0.0, -0.0, 5e-324, 1e-310, 88.0, 710.0, 745.0, 1e5, 1e30, 1.7e308)
EXTREME_TARGETS = (0.0, 1.0, 5e-324, 1e-300, 2.0**-53, 0.5, 1.0 - 2.0**-53)
EXPONENTS = (0.0, 0.3, 1.0, 2.0, 5.0, 100.0, 1e300)

every_namespace = pytest.mark.parametrize("xp", NAMESPACES.values(), ids=NAMESPACES)


def evaluated(form, logits, targets, numbers, xp=numpy_namespace, *, narrowed=False):
    """All quantities of a form as NumPy arrays, by name."""
    logit, target = (xp.asarray(np.asarray(array, dtype=np.float64)) for array in (logits, targets))
    given = {name: xp.asarray(np.full(np.shape(logits), number)) for name, number in numbers.items()}
    primitives = array_primitives(xp, logit.dtype)
    with np.errstate(all="ignore"):
        value, gradient = form.value_and_gradient(primitives, logit, target, given, narrowed=narrowed)
        results = {
            "value": value,
            "gradient": gradient,
            "second_derivative": form.second_derivative(primitives, logit, target, given),
        }
        results |= {name: partial(primitives, logit, target, given) for name, partial in form.partials.items()}
    assert all(result.dtype == logit.dtype and result.shape == logit.shape for result in results.values())
    return {name: np.asarray(result) for name, result in results.items()}


def digits(logit, target, numbers):
    """Decimal digits that leave more than sixty where the printed formulas and differences of them cancel."""
    small = [number for number in (target, 1.0 - target, abs(logit)) if 0.0 < number < 1.0]
    # Powers of exp(-|x|) beyond exp(-800) are zero, whatever is left of them.
    lost = 2.0 * abs(logit) + min(max(numbers.values()) * abs(logit), 800.0)
    return 65 + int(lost / math.log(10)) - int(math.log10(min(small, default=1.0)))


def exact(form, formula, logit, target, numbers):
    """All quantities of a form from its printed formula on the branch of the target, by numerical differentiation."""
    with mp.workdps(digits(logit, target, numbers)):
        x, t = mpf(float(logit)), mpf(float(target))
        given = {name: mpf(number) for name, number in numbers.items()} | {"branch": target}
        results = {
            "value": formula(x, t, **given),
            "gradient": mp.diff(lambda x: formula(x, t, **given), x),
            "second_derivative": mp.diff(lambda x: formula(x, t, **given), x, 2),
        }
        for name in form.partials:
            if name == "targets":
                results[name] = mp.diff(lambda t: formula(x, t, **given), t)
            else:
                results[name] = mp.diff(lambda number, name=name: formula(x, t, **given | {name: number}), given[name])
        return results


def error_in_ulps(found, number, scale, *, precision=53, smallest=-1074):
    """Distance in units in the last place of the scale, which are no finer than the smallest subnormal number."""
    unit = smallest if scale == 0 else max(mp.frexp(scale)[1] - precision, smallest)
    with mp.workdps(60):
        return float(abs(mpf(float(found)) - number) / mpf(2) ** unit)


def random_points(count, seed, *, spread=6.0, dtype=np.float64):
    """Logits and soft targets, some of the latter on the edges."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0.0, spread, count)
    targets = generator.random(count)
    targets[::5] = generator.integers(0, 2, targets[::5].size)
    targets[1::5] = generator.choice([1e-3, 1e-12, 1e-100], targets[1::5].size)
    targets[2::5] = 1.0 - 10.0 ** generator.uniform(-12.0, 0.0, targets[2::5].size)
    return logits.astype(dtype).astype(np.float64), targets.astype(dtype).astype(np.float64)


def special_points():
    """Every special logit of both signs with every special target."""
    return _grid(LOGITS, TARGETS)


def extreme_points():
    """Extreme finite logits of both signs with extreme targets."""
    return _grid(EXTREME_LOGITS, EXTREME_TARGETS)


def _grid(logits, targets):
    grid = [(sign * logit, target) for logit in logits for sign in (1.0, -1.0) for target in targets]
    return tuple(np.array(column) for column in zip(*grid, strict=True))


def compared(form, formula, scales, points, numbers):
    """Yield the index of each point, the quantity's name, the exact number and the scale of what cancels in it."""
    given = {name: mpf(number) for name, number in numbers.items()}
    for index, (logit, target) in enumerate(zip(*points, strict=True)):
        results = exact(form, formula, logit, target, numbers)
        with mp.workdps(digits(logit, target, numbers)):
            scale = scales(mpf(float(logit)), mpf(float(target)), **given)
        for name, number in results.items():
            yield index, name, number, max(abs(number), scale.get(name, 0))


def assert_within(form, formula, scales, points, numbers, ulps, xp=numpy_namespace):
    """Every quantity is within its bound, in ulp of the exact result or of the scale of what cancels in it."""
    found = evaluated(form, *points, numbers, xp)
    for index, name, number, scale in compared(form, formula, scales, points, numbers):
        error = error_in_ulps(found[name][index], number, scale)
        point = (float(points[0][index]), float(points[1][index]))
        assert error <= ulps[name], f"{name} at {point}: {error:.4g} ulp: {found[name][index]!r}, not {float(number)!r}"


def assert_rounds_to_float32(form, formula, scales, points, numbers):
    """Rounded to float32, every quantity that has not cancelled is within 0.501 ulp."""
    found = evaluated(form, *points, numbers, narrowed=True)
    seen = dict.fromkeys(found, 0)
    for index, name, number, scale in compared(form, formula, scales, points, numbers):
        # What is left of a quantity that has cancelled to a thousandth still is far more accurate than float32.
        if scale <= 1000 * abs(number):
            with np.errstate(under="ignore"):
                rounded = np.float32(found[name][index])
            error = error_in_ulps(rounded, number, abs(number), precision=24, smallest=-149)
            assert error <= 0.501, (name, points[0][index], points[1][index], rounded, float(number))
            seen[name] += 1
    assert min(seen.values()) >= 0.8 * points[0].size, seen


def assert_ties_go_the_right_way(form, formula, target, numbers, ratio, above, side=-1.0):
    """Values of large logits of the side's sign, which float64 cannot tell from the ties ``ratio |x|`` of float32.

    The exact value is larger, or not, as `above` says.
    """
    units = np.random.default_rng(5).integers(1 << 23, 1 << 24, 400).astype(np.float64)
    logits = side * np.concatenate([np.ldexp(units, -18), np.ldexp(units, -13)])
    products = ratio * np.abs(logits)
    tied = np.abs(products - products.astype(np.float32)) == 0.5 * np.spacing(products.astype(np.float32))
    logits, products = logits[tied], products[tied]
    assert logits.size > 40
    # The float64 number beside a tie already rounds to that side.
    expected = np.nextafter(products, np.inf if above else 0.0).astype(np.float32)
    assert np.count_nonzero(expected != products.astype(np.float32)) > 10
    logit = mpf(float(logits[0]))
    with mp.workdps(digits(logits[0], target, numbers)):
        assert (formula(logit, mpf(target), branch=target, **numbers) > mpf(float(products[0]))) == above
    found = evaluated(form, logits, np.full(logits.size, target), numbers, narrowed=True)
    np.testing.assert_array_equal(found["value"].astype(np.float32), expected)


def assert_never_nan(form, numbers):
    """Nor is a value or a scale negative, on the grid of extreme points."""
    points = extreme_points()
    for narrowed in (False, True):
        for name, result in evaluated(form, *points, numbers, narrowed=narrowed).items():
            wrong = np.isnan(result)
            assert not wrong.any(), (name, numbers, points[0][wrong], points[1][wrong])
            assert name != "value" or np.all(result >= 0.0)


def assert_nan_logits_give_nan(form, numbers):
    """Whatever the target."""
    targets = np.array(EXTREME_TARGETS)
    for name, result in evaluated(form, np.full(targets.size, np.nan), targets, numbers).items():
        assert np.isnan(result).all(), name


# The loss itself


def formula(x, t, beta, **_):
    """As printed: |t - p|^beta times the cross entropy."""
    p = 1 / (1 + mp.exp(-x))
    return abs(t - p) ** beta * -(t * mp.log(p) + (1 - t) * mp.log(1 - p))


def scales(x, t, beta):
    """Sums of the magnitudes of terms; where p is close to t, larger by what cancels in delta."""
    p = 1 / (1 + mp.exp(-x))
    q = 1 - p
    ce = -(t * mp.log(p) + (1 - t) * mp.log(q))
    delta = abs(p - t)
    lost = ((1 - t) * p + t * q) / delta
    second = (beta * abs(beta - 1) * p * q * ce / delta**2 + beta * abs(q - p) * ce / delta + (2 * beta + 1)) * p * q
    terms = {
        "value": ce,
        "gradient": beta * p * q * ce / delta + delta,
        "second_derivative": second,
        "beta": ce * abs(mp.log(delta)),
        "targets": beta * ce / delta + abs(x),
    }
    return {name: lost * delta**beta * term for name, term in terms.items()}


BETAS = (0.0, 0.3, 1.0, 1.5, 2.0, 5.0)
every_beta = pytest.mark.parametrize("beta", BETAS)


def bounds(beta):
    """In units in the last place."""
    ulps = dict.fromkeys(("value", "gradient", "second_derivative"), 8.0 + 2.0 * beta)
    return ulps | {"beta": 10.0 + 2.0 * beta, "targets": 10.0 + 2.0 * beta}


@every_beta
def test_random_points_are_within_their_bounds(beta):
    assert_within(QUALITY, formula, scales, random_points(150, 1), {"beta": beta}, bounds(beta))


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_special_points_are_within_their_bounds(beta):
    assert_within(QUALITY, formula, scales, special_points(), {"beta": beta}, bounds(beta))


@every_beta
def test_close_to_the_target_the_error_is_that_of_the_difference(beta):
    logits = np.random.default_rng(2).normal(0.0, 4.0, 60)
    targets = (1.0 + np.tile([-1.0, 1.0], 30) * 2.0 ** -np.linspace(3.0, 40.0, 60)) / (1.0 + np.exp(-logits))
    points = logits[targets <= 1.0], targets[targets <= 1.0]
    assert points[0].size > 40
    assert_within(QUALITY, formula, scales, points, {"beta": beta}, bounds(beta))


def test_every_array_namespace_is_within_the_bounds():
    points = random_points(40, 3, spread=20.0)
    for beta in (0.5, 2.0):
        assert_within(QUALITY, formula, scales, points, {"beta": beta}, bounds(beta), array_api_strict)


@pytest.mark.parametrize("beta", [0.0, 0.5, 2.0])
def test_rounded_to_float32_the_nearest_number_comes_out(beta):
    assert_rounds_to_float32(QUALITY, formula, scales, random_points(100, 4, dtype=np.float32), {"beta": beta})


# t^beta (t |x| + e (1 - beta |x|)) for x << 0.
@pytest.mark.parametrize(("beta", "ratio", "above"), [(0.0, 0.75, True), (1.0, 0.5625, False)])
def test_ties_of_float32_are_decided_by_what_float64_cannot_tell(beta, ratio, above):
    assert_ties_go_the_right_way(QUALITY, formula, 0.75, {"beta": beta}, ratio, above)


@pytest.mark.parametrize("beta", EXPONENTS)
def test_no_finite_logit_gives_nan(beta):
    assert_never_nan(QUALITY, {"beta": beta})
    assert_nan_logits_give_nan(QUALITY, {"beta": beta})


SECOND_AT_TARGET = {
    0.0: 0.25,
    0.3: -math.inf,
    0.999: -math.inf,
    1.0: 0.0,
    1.001: math.inf,
    1.5: math.inf,
    1.999: math.inf,
    2.0: 0.125 * math.log(2.0),
    2.001: 0.0,
    5.0: 0.0,
}
"""At x = 0 and t = 1/2: p q of the cross entropy, 2 (p q)^2 ce, and limits of the leading term."""


@every_namespace
@pytest.mark.parametrize("beta", SECOND_AT_TARGET)
def test_where_probability_and_target_are_equal_the_limits_come_out(beta, xp):
    found = evaluated(QUALITY, [0.0], [0.5], {"beta": beta}, xp)
    assert found["value"][0] == (math.log(2.0) if beta == 0.0 else 0.0)
    assert found["gradient"][0] == 0.0
    assert found["second_derivative"][0] == pytest.approx(SECOND_AT_TARGET[beta], rel=1e-15, abs=0.0)
    assert found["beta"][0] == (-math.inf if beta == 0.0 else 0.0)
    assert found["targets"][0] == 0.0


@every_beta
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_infinite_logits_give_the_limits(sign, beta):
    logits = np.full(3, sign * np.inf)
    # As seen from the side of the logit: the same target, the opposite one, and one between them.
    same, opposite, between = 0.5 + 0.5 * sign, 0.5 - 0.5 * sign, 0.5 + 0.25 * sign
    found = evaluated(QUALITY, logits, [same, opposite, between], {"beta": beta})
    assert found["value"].tolist() == [0.0, math.inf, math.inf]
    assert found["gradient"][:2].tolist() == [0.0, sign]
    assert found["gradient"][2] == pytest.approx(sign * 0.25 ** (beta + 1.0), rel=1e-15, abs=0.0)
    assert found["second_derivative"].tolist() == [0.0, 0.0, 0.0]
    assert found["beta"].tolist() == [0.0, 0.0, -math.inf]
    at_target = -sign * math.inf if beta == 0.0 else 0.0
    assert found["targets"].tolist() == [at_target, -sign * math.inf, -sign * math.inf]


@pytest.mark.parametrize("beta", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("logit", [2e3, -1e5, 1e30, -1e300])
def test_far_from_zero_the_probability_is_zero_or_one(logit, beta):
    # exp(-2000) is nothing beside these weights of the opposite side, B, so that the loss is B^(beta+1) |x|.
    opposite = np.array([1.0, 0.5, 2.0**-50] + ([1e-20, 1e-200] if logit < 0.0 else []))
    targets = 1.0 - opposite if logit > 0.0 else opposite
    found = evaluated(QUALITY, np.full(opposite.size, logit), targets, {"beta": beta})
    with mp.workdps(60):
        weight, magnitude, sign = [mpf(float(number)) for number in opposite], mpf(abs(logit)), mp.sign(logit)
        k = mpf(beta)
        exact = {
            "value": [b ** (k + 1) * magnitude for b in weight],
            "gradient": [sign * b ** (k + 1) for b in weight],
            "second_derivative": [0.0 for b in weight],
            "beta": [b ** (k + 1) * magnitude * mp.log(b) for b in weight],
            "targets": [-sign * (k + 1) * b**k * magnitude for b in weight],
        }
    for name, numbers in exact.items():
        assert found[name] == pytest.approx([float(number) for number in numbers], rel=2e-15, abs=5e-324), name


def test_a_vanishing_gradient_keeps_the_sign_of_its_limit():
    found = evaluated(QUALITY, [np.inf, -np.inf], [1.0, 0.0], {"beta": 2.0})
    assert np.signbit(found["gradient"]).tolist() == [True, False]


def test_a_large_logit_makes_up_for_a_power_that_underflows():
    # (1/2)^1100 is below the smallest number, and 1e300 times it is not.
    found = evaluated(QUALITY, [1e300], [0.5], {"beta": 1100.0})
    assert found["value"][0] == pytest.approx(float(mpf(2) ** -1101 * mpf(10) ** 300), rel=1e-13, abs=0.0)
    for beta in (1e4, 1e-300):
        found = evaluated(QUALITY, [np.inf, -np.inf], [0.5, 0.5], {"beta": beta})
        assert found["value"].tolist() == [np.inf, np.inf]
        # -sign(x) (beta + 1) B^beta |x| for B = 1/2.
        assert found["targets"].tolist() == [-np.inf, np.inf]


@pytest.mark.parametrize(("logit", "beta"), [(1e3, 0.01), (1e300, 1e-300), (1.7e308, 1e-306)])
def test_a_small_exponent_makes_up_for_a_distance_that_underflows(logit, beta):
    # Where target and probability are both 1, |delta| = ce = exp(-x), and the derivative in the target is
    # beta |delta|^(beta-1) ce - x |delta|^beta = (beta - x) exp(-beta x).
    found = evaluated(QUALITY, [logit], [1.0], {"beta": beta})
    with mp.workdps(60):
        exact = (mpf(beta) - mpf(logit)) * mp.exp(-mpf(beta) * mpf(logit))
    assert found["targets"][0] == pytest.approx(float(exact), rel=1e-15, abs=0.0)
