"""Rounding certified with Arb balls: a second, rigorous way to the bits of the vectors.

The formula is the paper's as printed, as in `oracle`, but nothing is shared with it except the
format description: balls instead of floating point, power series instead of differences. A ball
contains the exact number; when both its ends round to the same bits, so does the number.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from flint import arb, arb_series, ctx, fmpq

from focal_ref.conformance.formats import Format, round_to_format

__all__ = ["certified_bits"]

#: Arguments are exact: a float stands for the rational number that it is.
Real = float | Fraction

_ORDERS = {"value": 0, "gradient": 1, "second_derivative": 2}

#: Beyond this margin exp(-|x|) is enclosed instead of evaluated.
_ENCLOSURE_MARGIN = 100_000

_MAXIMUM_PRECISION = 400_000


def certified_bits(quantity: str, x: Real, target: Real, alpha: Real | None, gamma: Real, format: Format) -> int:
    """Bits of the loss or of a derivative by the logit, rounded to nearest, proven.

    Parameters
    ----------
    quantity : {"value", "gradient", "second_derivative"}
    x, target, alpha, gamma : float or Fraction
        As in `focal_ref.conformance.oracle.loss`.
    format : Format

    Returns
    -------
    int

    Raises
    ------
    ArithmeticError
        If the number lies too close to a boundary between two roundings. That happens at exact
        ties for |x| > 100000 only.
    """
    order = _ORDERS[quantity]
    if math.isnan(x):
        return format.nan_bits
    if target not in (0, 1) and target == Fraction(1, 2) and x == 0 and order == 1:
        # An even function of x; a ball around its derivative 0 never excludes either sign.
        return 0
    portion = Fraction(target)
    weighted = _weight(portion, alpha)
    if weighted == 0:
        # 0 by definition; the gradient with the sign of -(2y - 1).
        return format.sign_bit if order == 1 and 2 * portion > 1 else 0
    if math.isinf(x):
        return _at_infinity(order, x > 0, portion, weighted, Fraction(gamma), format)
    easy = (portion == 1 and x > 0) or (portion == 0 and x < 0)
    sign = (1, -1 if portion == 1 else 1, 1)[order] if easy else 0
    margin = abs(Fraction(x))
    if easy and margin > _ENCLOSURE_MARGIN:
        # 0 < |quantity| < (1 + gamma)**2 exp(-(1 + gamma) |x|), and gamma < 2**1024.
        return format.sign_bit if sign < 0 else 0
    if margin > _ENCLOSURE_MARGIN:
        if order == 2:
            return _far_second_derivative(Fraction(x), portion, Fraction(gamma), format)
        # The arguments are exact in that many bits; more would not make the enclosures smaller.
        precision = last_precision = 10_000
    else:
        last_precision = _MAXIMUM_PRECISION
        precision = 160 + math.ceil(margin * 3 / 2) + int(1 + Fraction(gamma)).bit_length()
    while precision <= last_precision:
        bits = _attempt(order, Fraction(x), portion, weighted, Fraction(gamma), precision, format)
        if bits is not None and _agree(bits, sign, format):
            return bits[0] if sign >= 0 else bits[0] | format.sign_bit
        precision *= 2
    raise ArithmeticError(f"{quantity} at {x!r}, {target!r}, {alpha!r}, {gamma!r}: can't decide")


def _weight(target: Fraction, alpha: Real | None) -> Fraction:
    if alpha is None:
        return Fraction(1)
    return Fraction(alpha) * target + (1 - Fraction(alpha)) * (1 - target)


def _agree(ends: tuple[int, int], sign: int, format: Format) -> bool:
    """Whether both ends of the ball round alike.

    Where the sign of the quantity is known (on the easy side), a ball that reaches across zero
    still decides for the zero with that sign.
    """
    zeros = (0, format.sign_bit)
    if sign and ends[0] in zeros and ends[1] in zeros:
        return True
    return ends[0] == ends[1]


def _attempt(
    order: int,
    x: Fraction,
    target: Fraction,
    weighted: Fraction,
    gamma: Fraction,
    precision: int,
    format: Format,
) -> tuple[int, int] | None:
    """Roundings of both ends of a ball around the quantity; None if there is no finite ball."""
    saved_precision, saved_cap = ctx.prec, ctx.cap
    try:
        ctx.prec, ctx.cap = precision, order + 1
        series = _printed_formula(x, target, weighted, gamma)
        # Coefficient n of the Taylor series is the n-th derivative over n!; 2! = 2.
        ball = series[order] * (2 if order == 2 else 1)
        if not ball.is_finite():
            return None
        return _round_end(ball.lower(), format), _round_end(ball.upper(), format)
    finally:
        ctx.prec, ctx.cap = saved_precision, saved_cap


def _printed_formula(x: Fraction, target: Fraction, weighted: Fraction, gamma: Fraction) -> Any:
    """Taylor series of the loss in the logit, around x."""
    if abs(x) > _ENCLOSURE_MARGIN:
        p, one_minus_p, log_p, log_one_minus_p = _enclosed_parts(x)
    else:
        logit = arb_series([_ball(x), arb(1)])
        p = 1 / (1 + (-logit).exp())
        one_minus_p = 1 - p
        log_p = p.log() if target != 0 else None
        log_one_minus_p = one_minus_p.log() if target != 1 else None
    if target == 1:
        base, cross_entropy = one_minus_p, -log_p
    elif target == 0:
        base, cross_entropy = 1 - one_minus_p, -log_one_minus_p
    else:
        t = _ball(target)
        base = 1 - (p * t + one_minus_p * (1 - t))
        cross_entropy = -t * log_p - (1 - t) * log_one_minus_p
    # 0**0 is 1, so gamma = 0 leaves the cross entropy alone.
    focal = cross_entropy if gamma == 0 else base ** arb_series([_ball(gamma)]) * cross_entropy
    return _ball(weighted) * focal


def _enclosed_parts(x: Fraction) -> tuple[Any, Any, Any, Any]:
    """Series of p, 1 - p, log p and log(1 - p) for |x| > 100000, where exp(-|x|) < 2**-100000.

    The small one of p and 1 - p lies in [0, r], its logarithm in [-|x| - r, -|x|], and the
    logarithm of the other one in [-2r, 0]. The derivatives come from p' = p (1 - p).
    """
    small = arb(2) ** -100_000 * arb(0.5, 0.5)
    magnitude = _ball(abs(x))
    log_small = -magnitude - small
    log_large = -2 * small
    large = 1 - small
    p, q = (small, large) if x < 0 else (large, small)
    log_p, log_q = (log_small, log_large) if x < 0 else (log_large, log_small)
    slope, bend = p * q, p * q * (q - p) / 2
    return (
        arb_series([p, slope, bend]),
        arb_series([q, -slope, -bend]),
        arb_series([log_p, q, -slope / 2]),
        arb_series([log_q, -p, -slope / 2]),
    )


def _far_second_derivative(x: Fraction, target: Fraction, gamma: Fraction, format: Format) -> int:
    """Zero with a sign: the second derivative for |x| > 100000 where p_t lacks m > 0.

    Its leading term is alpha_t m**gamma exp(-|x|) (1 - gamma (2m - 1) (|x| - 2)), which is less
    than 2**-100000, and the next one is smaller by a factor of about exp(-|x|) again.
    """
    missed = 1 - target if x > 0 else target
    leading = 1 - gamma * (2 * missed - 1) * (abs(x) - 2)
    if leading == 0:
        raise ArithmeticError("the sign of the second derivative is not that of its leading term")
    return format.sign_bit if leading < 0 else 0


def _at_infinity(
    order: int,
    positive: bool,
    target: Fraction,
    weighted: Fraction,
    gamma: Fraction,
    format: Format,
) -> int:
    """Limits at an infinite logit, where the weight is not zero."""
    missed = 1 - target if positive else target  # what p_t lacks, in the limit
    if missed == 0:
        return format.sign_bit if order == 1 and positive else 0
    if order == 0:
        return format.infinity_bits
    if order == 2:
        # Falls to zero like -gamma (2 missed - 1) |x| exp(-|x|), or like +exp(-|x|) if that is 0.
        return format.sign_bit if gamma * (2 * missed - 1) > 0 else 0
    # |gradient| tends to alpha_t (1 - p_t)**gamma times what p_t lacks.
    saved = ctx.prec
    try:
        ctx.prec = 2000
        limit = _ball(weighted * missed)
        if gamma and missed != 1:
            limit = limit * _ball(missed) ** _ball(gamma)
        ends = _round_end(limit.lower(), format), _round_end(limit.upper(), format)
    finally:
        ctx.prec = saved
    if ends[0] != ends[1]:
        raise ArithmeticError("the limit of the gradient lies on a boundary of rounding")
    return ends[0] if positive else ends[0] | format.sign_bit


def _ball(number: Fraction) -> Any:
    """Ball around a rational number; exact for a float in 2200 bits or fewer."""
    return arb(fmpq(number.numerator, number.denominator))


def _round_end(end: Any, format: Format) -> int:
    """Bits of an exact Arb number."""
    mantissa, exponent = end.man_exp()
    mantissa, exponent = int(mantissa), int(exponent)
    # Beyond these exponents the number is zero or infinite in every format, and its fraction
    # might be astronomically long.
    if mantissa == 0:
        return 0
    size = abs(mantissa).bit_length() + exponent
    if size < -5000:
        return format.sign_bit if mantissa < 0 else 0
    if size > 5000:
        return format.infinity_bits | (format.sign_bit if mantissa < 0 else 0)
    scale = Fraction(1 << exponent) if exponent >= 0 else Fraction(1, 1 << -exponent)
    return round_to_format(mantissa * scale, format)
