"""The paper's formula as printed, in arbitrary precision, with its derivatives taken numerically.

    p       = 1 / (1 + exp(-x))
    p_t     = p if y = 1, else 1 - p
    alpha_t = alpha if y = 1, else 1 - alpha
    FL(p_t) = -alpha_t (1 - p_t)^gamma log(p_t)

A soft target t blends: p_t = p t + (1 - p)(1 - t), the cross entropy is
-t log p - (1 - t) log(1 - p), and alpha_t = alpha t + (1 - alpha)(1 - t).

Nothing is rearranged to be stable. What the formula cancels is bought back with precision, and
every result is computed twice, with different precision, until 60 digits agree. No closed form of
a derivative appears: a mistake in the closed forms under test can't be repeated here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from mpmath import mp

from focal_ref.conformance.formats import Format, round_to_format

__all__ = [
    "DIGITS",
    "QUANTITIES",
    "gradient",
    "loss",
    "loss_from_probability",
    "rounded",
    "second_derivative",
    "weight",
]

#: Arguments are exact: a float stands for the rational number that it is.
Real = float | Fraction

#: An ``mpmath.mpf``; mpmath ships no types.
Number = Any

#: Significant decimal digits that are right in every finite result.
DIGITS = 60

#: The names of the three quantities, in the order of their derivative.
QUANTITIES = ("value", "gradient", "second_derivative")

_RESULT_BITS = 210  # 63 digits
_GUARD_BITS = 40

#: Beyond this margin the formula as printed needs tens of thousands of bits; see `_limit`.
LIMIT_MARGIN = 20000


def loss(x: Real, target: Real, alpha: Real | None, gamma: Real) -> Number:
    """Focal loss of a logit.

    Parameters
    ----------
    x : float or Fraction
        Logit; infinities give the limits and NaN gives NaN.
    target : float or Fraction
        1 for the positive class, 0 for the negative one, between them for a soft target.
    alpha : float, Fraction or None
        Weight of the positive class in [0, 1]; None weighs both classes with 1.
    gamma : float or Fraction
        Focusing parameter, finite and not negative.

    Returns
    -------
    mpf
        At least 60 significant digits are right, except beyond `LIMIT_MARGIN`, where a result
        that underflows in every format is replaced by 2**-20000 with its sign. mpmath rounds to
        its own current precision in every operation, negation included: calculate with it under
        ``mp.workprec``.
    """
    return _quantity(0, x, target, alpha, gamma)


def gradient(x: Real, target: Real, alpha: Real | None, gamma: Real) -> Number:
    """Derivative of `loss` by the logit, taken numerically; parameters as there."""
    return _quantity(1, x, target, alpha, gamma)


def second_derivative(x: Real, target: Real, alpha: Real | None, gamma: Real) -> Number:
    """Second derivative of `loss` by the logit, taken numerically; parameters as there."""
    return _quantity(2, x, target, alpha, gamma)


def loss_from_probability(p: Real, y: Real, alpha: Real | None, gamma: Real, base: int | None = None) -> Number:
    """Focal loss of a probability, FL(p, y) of the write-ups.

    Parameters
    ----------
    p : float or Fraction
        Probability of the positive class, in (0, 1).
    y, alpha, gamma
        As in `loss`.
    base : int, optional
        Base of the logarithm; the natural one if absent. One write-up computes in base 10.
    """
    weighted = weight(y, alpha)

    def evaluate() -> Number:
        natural = _formula(_exact(p), y, weighted, gamma)
        return natural if base is None else natural / mp.log(base)

    return _until_stable(evaluate, _RESULT_BITS + _GUARD_BITS)


def rounded(quantity: str, x: Real, target: Real, alpha: Real | None, gamma: Real, format: Format) -> int:
    """Bits of a quantity, correctly rounded to a format, with the sign of zero.

    A zero that is the limit of a quantity at an infinite logit, or of a loss with weight zero,
    has the sign from which it is approached: the gradient's is that of -(2y - 1).
    """
    order = QUANTITIES.index(quantity)
    number = _quantity(order, x, target, alpha, gamma)
    negative_zero = number == 0 and _sign(order, x, target, alpha, gamma) < 0
    return round_to_format(number, format, negative_zero=negative_zero)


def weight(target: Real, alpha: Real | None) -> Fraction:
    """alpha_t, exactly."""
    if alpha is None:
        return Fraction(1)
    positive, portion = Fraction(alpha), Fraction(target)
    if not 0 <= positive <= 1:
        raise ValueError(f"alpha must be None or in [0, 1], got {alpha}")
    return positive * portion + (1 - positive) * (1 - portion)


def _quantity(order: int, x: Real, target: Real, alpha: Real | None, gamma: Real) -> Number:
    """Derivative of the given order, 0 to 2, of the loss by the logit."""
    if not 0 <= target <= 1:
        raise ValueError(f"target must be in [0, 1], got {target}")
    if not 0 <= gamma < math.inf:
        raise ValueError(f"gamma must be finite and not negative, got {gamma}")
    if math.isnan(x):
        return mp.nan
    weighted = weight(target, alpha)
    if weighted == 0:
        # A class without weight contributes nothing, not even 0 * infinity.
        return mp.zero
    if not -LIMIT_MARGIN <= x <= LIMIT_MARGIN:
        return _limit(order, x, Fraction(target), weighted, gamma)
    if order == 1 and x == 0 and target == 0.5:
        # Both p_t and the cross entropy are unchanged by x -> -x when t = 1/2, and alpha_t does
        # not depend on x: an even function. No numerical precision could establish this zero.
        return mp.zero

    def value(at: Number) -> Number:
        with mp.workprec(mp.prec + _lost_bits(x, gamma)):
            p = 1 / (1 + mp.exp(-at))
            return _formula(p, target, weighted, gamma)

    if order == 0:
        return _until_stable(lambda: value(_exact(x)), _RESULT_BITS + _GUARD_BITS)

    # mp.diff takes central differences of step 2**-(precision + 10) and evaluates the function
    # with (order + 1) times the precision. Its relative truncation error is the square of the
    # step times that of gamma. On the hard side the loss is about |x| and its second derivative
    # about exp(-|x|): those bits are needed on top.
    easy = (target == 1 and x > 0) or (target == 0 and x < 0)
    precision = _RESULT_BITS + _GUARD_BITS + _bits(gamma)
    if order == 2 and not easy:
        precision += _bits_of_exp(x)
    return _until_stable(lambda: mp.diff(value, _exact(x), order), precision)


def _formula(p: Number, target: Real, weighted: Fraction, gamma: Real) -> Number:
    """FL(p) as printed, for 0 < p < 1, in the current precision."""
    if target == 1:
        p_t = p
        cross_entropy = -mp.log(p_t)
    elif target == 0:
        p_t = 1 - p
        cross_entropy = -mp.log(p_t)
    else:
        t = _exact(target)
        p_t = p * t + (1 - p) * (1 - t)
        cross_entropy = -t * mp.log(p) - (1 - t) * mp.log(1 - p)
    modulating = mp.one if gamma == 0 else mp.power(1 - p_t, _exact(gamma))
    return _exact(weighted) * modulating * cross_entropy


def _exact(number: Real) -> Number:
    """A float exactly, or a fraction to the current precision."""
    fraction = Fraction(number)
    return mp.mpf(fraction.numerator) / fraction.denominator


def _bits(number: Real) -> int:
    """Bits by which a factor 1 + number enlarges a relative error."""
    return math.ceil(number).bit_length() + 1


def _bits_of_exp(x: Real) -> int:
    """Bits that 1 - p, or the logarithm of p, cancels when the other one is exp(-|x|)."""
    return math.ceil(abs(Fraction(x)) * Fraction(1443, 1000)) + 2  # 1 / log 2 = 1.4427


def _lost_bits(x: Real, gamma: Real) -> int:
    # The power multiplies the relative error of its base by gamma, and that of the logarithm
    # inside the power function by gamma * |log|.
    return _bits_of_exp(x) + _bits(gamma) + _bits(abs(Fraction(x))) + _GUARD_BITS


def _until_stable(evaluate: Callable[[], Number], precision: int) -> Number:
    """Evaluate with growing precision until two results agree to more than 60 digits."""
    previous = None
    for attempt in range(8):
        with mp.workprec(precision + (attempt > 0) * 64):
            current = evaluate()
            # A zero is never the value of the formula: it is what too little precision gives.
            tolerance = mp.ldexp(abs(current), -_RESULT_BITS)
            if previous is not None and current != 0 and abs(current - previous) <= tolerance:
                return current
        previous = current
        if attempt > 0:
            precision = precision * 3 // 2
    raise ArithmeticError(f"no {DIGITS} stable digits at {precision} bits")


def _sign(order: int, x: Real, target: Real, alpha: Real | None, gamma: Real) -> int:
    """Sign from which a quantity reaches zero, where the number itself has none.

    Asked only for weight zero, infinite logits and the symmetric point x = 0, t = 1/2.
    """
    if order == 0 or (x == 0 and target == 0.5):
        return 1
    if order == 1:
        return -1 if target > 0.5 else 1
    if weight(target, alpha) == 0 or gamma == 0:
        return 1
    if target in (0, 1) and (x > 0) == (target == 1):
        return 1
    # The hard side, see `_limit`: concave if gamma > 0 and the target leans away from the logit.
    leans = 2 * Fraction(target) - 1
    return -1 if leans * (-1 if x > 0 else 1) > 0 else 1


def _limit(order: int, x: Real, t: Fraction, weighted: Fraction, gamma: Real) -> Number:
    """The quantity for |x| > 20000, near enough to round as the exact one in every format.

    The formula does not change under x -> -x, t -> 1 - t (with the same alpha_t), so let x < 0.
    Then e = exp(x) < 2**-28800 and p = e (1 - e + ...).

    *The easy side, t = 0.* With gamma >= 0 all three quantities have the magnitude of at most
    (1 + gamma)**2 e**(1 + gamma) < 2**-28000, far below half of float64's smallest subnormal
    number, so that only the sign matters: the loss falls towards 0 from above, is increasing in x
    and convex: + + +. 2**-20000 stands for the number.

    *The hard side, t > 0.* Expanding p_t and the cross entropy to first order in e, with X = |x|,

        loss   =  alpha_t t^(gamma+1) X (1 + e [gamma (1-2t) X + 1] / (t X))
        loss'  = -alpha_t t^(gamma+1)   (1 + e [gamma (1-2t) (1-X) - 1] / t)
        loss'' = -alpha_t t^gamma        e [gamma (1-2t) (2-X) - 1]

    and what is left is of order e**2. For floats, gamma and X are below 2**1024 and t is above
    2**-1075: the relative change in the first two lines is less than 2**-20000 and the third one
    underflows. A boundary of rounding is a number of the format or the middle between two. If the
    leading number is a boundary (alpha_t |x| can be a tie), the term in e decides, by its sign
    alone. If it is none and t^gamma is rational, it is at a relative distance of more than
    2**-8000 from the nearest one, and the term can't cross that. An irrational t^gamma could
    come closer in principle; that it does not is what `certify` shows for each vector. So a
    relative change of 2**-8000 with the right sign rounds as the exact number does.
    """
    if x > 0:
        mirrored = _limit(order, -x, 1 - t, weighted, gamma)
        return mp.fneg(mirrored, exact=True) if order == 1 else mirrored
    if t == 0:
        return mp.zero if math.isinf(x) else mp.ldexp(1, -20000)
    if math.isinf(x) and order != 1:
        return mp.inf if order == 0 else mp.zero
    with mp.workprec(8200):
        # At infinity any large margin has the same sign in the brackets.
        margin = Fraction(2) ** 2000 if math.isinf(x) else -Fraction(x)
        bend = Fraction(gamma) * (1 - 2 * t)
        bracket = (bend * margin + 1, bend * (1 - margin) - 1, bend * (2 - margin) - 1)[order]
        if bracket == 0:
            raise ArithmeticError("the term that decides the rounding vanishes in first order")
        if order == 2:
            return mp.ldexp(1 if bracket < 0 else -1, -20000)
        power = mp.one if gamma == 0 else mp.power(_exact(t), _exact(gamma))
        leading = _exact(weighted) * power * _exact(t)
        leading *= _exact(margin) if order == 0 else -1
        if math.isinf(x):
            return leading
        return leading * (1 + mp.ldexp(1 if bracket > 0 else -1, -8000))
