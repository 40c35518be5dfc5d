"""What a quantity of mixed sign is measured against: the magnitudes that it is the difference of.

A soft target's gradient and every second derivative cross zero. There the exact result loses all
its digits relative to the terms that it is made of, so an error is counted in ulps of the sum of
the terms' magnitudes. The terms are those of the closed forms, with

    p = sigmoid(x), q = 1 - p, u = 1 - p_t = p (1 - t) + q t, ce the cross entropy, w = u**gamma.

These numbers are yardsticks, no expected results: nothing compares anything with them for equality.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from mpmath import mp

from focal_ref.conformance.oracle import Real, weight

__all__ = ["gradient_scale", "second_derivative_scale"]

#: An ``mpmath.mpf``; mpmath ships no types.
Number = Any


def gradient_scale(x: Real, target: Real, alpha: Real | None, gamma: Real) -> Number | None:
    """Sum of the magnitudes of the gradient's terms, for a finite logit.

    Parameters
    ----------
    x, target, alpha, gamma
        As in `focal_ref.conformance.oracle.loss`.

    Returns
    -------
    mpf or None
        None if all terms have the same sign, as they have for the targets 0 and 1, or if the
        logit is not finite.
    """
    if target in (0, 1) or not math.isfinite(x):
        return None
    with mp.workprec(_precision(x)):
        p, q, u, t, cross_entropy, focusing = _parts(x, target, gamma)
        first = focusing * p * q * abs(1 - 2 * t) * cross_entropy
        second = u * (p * (1 - t) + q * t)
        return _weighted(target, alpha) * mp.power(u, focusing - 1) * (first + second)


def second_derivative_scale(x: Real, target: Real, alpha: Real | None, gamma: Real) -> Number | None:
    """Sum of the magnitudes of the second derivative's terms, for a finite logit.

    Parameters
    ----------
    x, target, alpha, gamma
        As in `focal_ref.conformance.oracle.loss`.

    Returns
    -------
    mpf or None
        None if the logit is not finite.
    """
    if not math.isfinite(x):
        return None
    with mp.workprec(_precision(x)):
        p, q, u, t, cross_entropy, focusing = _parts(x, target, gamma)
        weighted = _weighted(target, alpha)
        w = mp.power(u, focusing)
        if target in (0, 1):
            # With s the logit towards the target's class:
            # w P [gamma ce (gamma P - Q) + (2 gamma + 1) Q], P = sigmoid(s), Q = u = 1 - P.
            towards = p if target == 1 else q
            bracket = focusing * cross_entropy * (focusing * towards + u)
            return weighted * w * towards * (bracket + (2 * focusing + 1) * u)
        # The product rule on u**gamma ce, twice; u' = p q (1 - 2t), ce' = p (1 - t) - q t,
        # p' = p q, and |q - p| is at most 1.
        slope = p * q * abs(1 - 2 * t)
        terms = (
            focusing * abs(focusing - 1) * slope**2 / u**2 * cross_entropy,
            focusing * slope / u * cross_entropy,
            2 * focusing * slope / u * (p * (1 - t) + q * t),
            p * q,
        )
        return weighted * w * mp.fsum(terms)


def _precision(x: Real) -> int:
    # The closed forms cancel nothing; huge exponents in exp(-|x|) cost their own bits.
    return 120 + math.ceil(abs(Fraction(x))).bit_length()


def _parts(x: Real, target: Real, gamma: Real) -> tuple[Number, ...]:
    logit, t = _number(x), _number(target)
    small = mp.exp(-abs(logit))
    softplus = mp.log1p(small)
    hard, easy = 1 / (1 + small), small / (1 + small)
    p, q = (hard, easy) if logit >= 0 else (easy, hard)
    negative = (logit if logit > 0 else 0) + softplus  # -log(1 - p)
    positive = (-logit if logit < 0 else 0) + softplus  # -log p
    u = p * (1 - t) + q * t
    return p, q, u, t, t * positive + (1 - t) * negative, _number(gamma)


def _weighted(target: Real, alpha: Real | None) -> Number:
    return _number(weight(target, alpha))


def _number(number: Real) -> Number:
    fraction = Fraction(number)
    return mp.mpf(fraction.numerator) / fraction.denominator
