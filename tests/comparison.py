"""What results must be, by the double-double reference, and comparisons that say which element is wrong."""

import math

import numpy as np

from focal_ref._double_double import Unrounded
from focal_ref._exact import evaluate
from focal_ref.conformance.accuracy import Exact, error_in_ulps, round_units
from focal_ref.conformance.formats import FORMATS

DTYPES = {name: format.dtype for name, format in FORMATS.items()}
LIMITS = [0.0, -0.0, math.inf, -math.inf, 20.0, -20.0, 88.5, -88.5, 104.0, -104.0, 710.0, -745.0, 1e-7, -1e4]
"""Logits where formats under- and overflow, and where naive formulas break."""


def some_logits(dtype, count, seed=0):
    """Ordinary logits, with the limits among the first where there is room."""
    logits = np.random.default_rng(seed).normal(0.0, 6.0, count)
    if count >= 2 * len(LIMITS):
        # Twice: once for each class of `some_targets`.
        logits[: 2 * len(LIMITS)] = np.repeat(LIMITS, 2)
    return logits.astype(DTYPES[dtype])


def some_targets(count, seed=1):
    """Booleans; the first ones alternate."""
    targets = np.random.default_rng(seed).random(count) < 0.4
    targets[: 2 * len(LIMITS)] = (np.arange(count) % 2 == 0)[: 2 * len(LIMITS)]
    return targets


def some_soft_targets(count, seed=2):
    """Floats in [0, 1] as float32, with 0, 1/2, 1 and tiny ones among them."""
    targets = np.random.default_rng(seed).random(count).astype(np.float32)
    special = np.float32([0.0, 1.0, 0.5, 1e-30, 1 - 2.0**-24])
    targets[: 2 * special.size] = np.repeat(special, 2)[: targets.size]
    return targets


def wide(array):
    """The same numbers in float64."""
    with np.errstate(invalid="ignore"):
        return np.asarray(array).astype(np.float64)


def unrounded(logits, targets, *, alpha=0.25, gamma=2.0, weights=None, encoding="binary"):
    """Value, gradient and second derivative, each with the scale of its terms, before any rounding."""
    targets = (wide(targets) + 1.0) / 2.0 if encoding == "signed" else wide(targets)
    alpha = None if alpha is None else wide(alpha)
    exact = evaluate(wide(logits), targets, alpha=alpha, gamma=wide(gamma))
    quantities = {
        "value": (exact.value, exact.value),
        "gradient": (exact.gradient, exact.gradient_scale),
        "second_derivative": (exact.second_derivative, exact.second_derivative_scale),
    }
    if weights is None:
        return quantities
    factor = Unrounded.from_float64(np.broadcast_to(wide(weights), np.shape(logits)))
    return {name: (number * factor, scale * factor) for name, (number, scale) in quantities.items()}


def expected(logits, targets, *, dtype=None, **parameters):
    """What each quantity must be in the logits' dtype, or another one; parameters as for `unrounded`."""
    format = FORMATS[dtype or np.asarray(logits).dtype.name]
    results = {}
    for name, (number, scale) in unrounded(logits, targets, **parameters).items():
        finite = np.isfinite(number.high)
        unit = np.where(finite, number.unit_exponent(format.minimum_exponent, format.precision), 0)
        scale_unit = np.where(finite, scale.unit_exponent(format.minimum_exponent, format.precision), 0)
        high, low = number.in_units(unit)
        high, low = np.where(finite, high, number.high), np.where(finite, low, 0.0)
        results[name] = Exact(round_units(high, low, unit, format), high, low, unit, scale_unit)
    return results


def expected_sum(logits, targets, **parameters):
    """Sum of the unrounded values, itself rounded to float64 once."""
    number = unrounded(logits, targets, **parameters)["value"][0]
    with np.errstate(under="ignore"):
        scale = np.clip(number.exponent, -2000, 2000).astype(np.int32)
        return math.fsum(part for pair in (number.high, number.low) for part in np.ldexp(pair, scale).ravel().tolist())


def assert_within(found, exact, ulps):
    """Every element is at most so many units in the last place off; signs of zeros are not looked at."""
    format = FORMATS[np.asarray(found).dtype.name]
    error = error_in_ulps(found, exact, flushed=False, format=format)
    worst = np.unravel_index(int(np.argmax(error)), np.shape(error)) if np.size(error) else None
    assert np.all(error <= ulps), (
        f"{np.asarray(error)[worst]:.4g} ulp at {worst}: {np.asarray(found)[worst]!r}, "
        f"not {np.asarray(exact.numbers)[worst]!r}"
    )


def assert_same_bits(found, wanted):
    """Equal dtype, shape and bits, signs of zeros included; all NaN are one."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    integer = f"u{found.dtype.itemsize}"
    both_nan = np.isnan(wide(found)) & np.isnan(wide(wanted))
    differs = ~both_nan & (
        np.ascontiguousarray(found).view(integer) != np.ascontiguousarray(wanted).view(integer)
    ).reshape(found.shape)
    count = int(np.sum(differs))
    first = np.unravel_index(int(np.argmax(differs)), differs.shape) if count else None
    assert count == 0, f"{count} of {differs.size} differ, first at {first}: {found[first]!r}, not {wanted[first]!r}"
