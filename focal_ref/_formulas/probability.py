"""The focal loss of a probability that is given, not computed from a logit.

With the probability p, ``q = 1 - p`` and the target t, blended as in `soft`,

    u  = 1 - p_t = p (1 - t) + q t
    ce = t (-log p) + (1 - t) (-log q)
    value V = u^gamma ce

    k = 1 - 2t,    R = ce / u,    c' = d ce / dp = (1 - t)/q - t/p = (p - t) / (p q)

    d V / dp          u^gamma (gamma k R + c')
    d^2 V / dp^2      gamma k u^(gamma-1) [(gamma - 1) k R + 2 c'] + u^gamma [t/p^2 + (1 - t)/q^2]
    d V / d gamma     V log(u)
    d V / dt          u^gamma [gamma (q - p) R + log(q / p)]

A hard target that p agrees with entirely, p = t in {0, 1}, makes u, ce and p q vanish together: there R is 1, the limit
of ``-log(1 - u) / u``, and c' that of the term that remains, 1/q or -1/p. So V and its derivatives are 0 there but for

    gamma = 0             dV/dp = 1 - 2t,  d^2V/dp^2 = 1,  dV/dt = log(q / p), infinite
    0 < gamma < 1         d^2V/dp^2 = +inf, as gamma (gamma + 1) u^(gamma-1)
    gamma = 1             d^2V/dp^2 = 2

Where p is 0 or 1 and the target gives that a share, the loss is infinite, and so are its derivatives but for the one in
gamma of a hard target, where log(u) = 0. Next to a p of 0, subnormal numbers included, no factor meets another that is
infinite: u^gamma is multiplied as two square roots, and p is scaled before it divides.
"""

import math
from typing import NamedTuple

from focal_ref._formulas.elementwise import ElementwiseForm, Numbers
from focal_ref._formulas.focal import BESIDE_ONE
from focal_ref._formulas.primitives import Number, Primitives

TIE_PROBABILITY = 2.0**-43
"""Below this probability the loss of a negative is within a few units in the last place of ``p^(gamma+1)``."""


class _Terms(NamedTuple):
    """What value and derivatives share; the letters of the derivation, and the following.

    Attributes
    ----------
    above
        Whether p > 1/2.
    share
        ``1 - t``.
    distance
        ``|1 - 2p|``.
    near_one
        Whether u is close to 1.
    unit
        A power of two, less than 1 where p is subnormal, so that nothing in [0, 1] that ``p / unit`` divides overflows.
    p_divisor, q_divisor, u_divisor
        ``p / unit``, q and u to divide by: 1 where they are 0.
    minus_log_p, minus_log_q, minus_log_u
        0 instead of infinity where p, q or u is 0.
    ratio
        R.
    certain, agreed, infinite
        Whether p is 0 or 1; whether the target is the same, so that u is 0; whether it is not, so that ce is infinite.
    """

    above: Number
    share: Number
    u: Number
    distance: Number
    near_one: Number
    unit: Number
    p_divisor: Number
    q_divisor: Number
    u_divisor: Number
    minus_log_p: Number
    minus_log_q: Number
    minus_log_u: Number
    ce: Number
    ratio: Number
    k: Number
    certain: Number
    agreed: Number
    infinite: Number


def _terms(primitives: Primitives, p: Number, t: Number) -> _Terms:
    log, log1p, where = primitives.log, primitives.log1p, primitives.where
    # 1 - p is exact from p = 1/2 on; where it is not, -log q is log1p of p itself. From p = 1/4 on the logarithm is as
    # good, and log1p of XLA on CPUs is off by up to 128 ulp between -0.42 and -0.3.
    share, q = 1.0 - t, 1.0 - p
    above = p > 0.5
    smaller = where(above, q, p)
    certain = smaller == 0.0
    small = smaller < 0.25
    near = -where(small, log1p(-where(small, smaller, 0.0)), log(where(above, p, q)))
    far = -log(where(certain, 1.0, smaller))
    minus_log_p, minus_log_q = where(above, near, far), where(above, far, near)
    # As p (1 - t) + q t = q + (1 - t)(p - q) = p + t (q - p), whichever is a sum of positive terms; p_t is the same of
    # 1 - t. Next to p = 1/2, q - p is exact.
    distance = primitives.absolute(1.0 - 2.0 * p)
    u = smaller + where(above, share, t) * distance
    p_t = smaller + where(above, t, share) * distance
    near_one = p_t < 0.25
    agreed = certain & (u == 0.0)
    u_divisor = where(agreed, 1.0, u)
    unit = where(p < 2.0**-1020, 2.0**-60, 1.0 + 0.0 * p)
    ce = t * minus_log_p + share * minus_log_q
    return _Terms(
        above=above,
        share=share,
        u=u,
        distance=distance,
        unit=unit,
        p_divisor=where(p == 0.0, 1.0, p / unit),
        q_divisor=where(q == 0.0, 1.0, q),
        u_divisor=u_divisor,
        minus_log_p=minus_log_p,
        minus_log_q=minus_log_q,
        near_one=near_one,
        minus_log_u=-where(near_one, log1p(-where(near_one, p_t, 0.0)), log(u_divisor)),
        ce=ce,
        ratio=where(agreed, 1.0, t / u_divisor * minus_log_p + share * (minus_log_q / u_divisor)),
        k=1.0 - 2.0 * t,
        certain=certain,
        agreed=agreed,
        infinite=certain & (u > 0.0),
    )


def _power(primitives: Primitives, x: _Terms, exponent: Number) -> Number:
    """``u^exponent``, but 1 where p and target agree entirely."""
    # A power multiplies the error that rounding u makes; next to u = 1, log(u) is small where that error is.
    return primitives.where(
        x.near_one, primitives.exp(-(exponent * x.minus_log_u)), primitives.power(x.u_divisor, exponent)
    )


def _times_slope(primitives: Primitives, x: _Terms, p: Number, t: Number, factor: Number) -> Number:
    """``factor c' unit``, which does not overflow for a factor that does not."""
    where = primitives.where
    hard = where(t == 0.0, factor * x.unit / x.q_divisor, -(factor / x.p_divisor))
    return where((t == 0.0) | (t == 1.0), hard, factor * ((p - t) / x.p_divisor) / x.q_divisor)


def _unscaled(primitives: Primitives, x: _Terms, factor: Number, scaled: Number) -> Number:
    """``factor scaled / unit`` in the order in which it neither over- nor underflows on the way."""
    small = primitives.absolute(scaled) < 1.0
    return primitives.where(small, factor * (scaled / x.unit), factor * scaled / x.unit)


def _value_and_gradient(
    primitives: Primitives, logit: Number, target: Number, numbers: Numbers, *, narrowed: bool
) -> tuple[Number, Number]:
    where, gamma = primitives.where, numbers["gamma"]
    x = _terms(primitives, logit, target)
    root = _power(primitives, x, 0.5 * gamma)
    value = root * (root * x.ce)
    slope = _unscaled(primitives, x, root, _times_slope(primitives, x, logit, target, root))
    gradient = root * ((root * gamma) * (x.k * x.ratio)) + slope
    if narrowed:
        # For t = 0 and p << 1 they are p^(gamma+1) (1 + p/2 + ...) and (gamma + 1) p^gamma (1 + ...), which float64
        # cannot tell from the products alone. With a p of few digits these, and alpha times them, are often exactly
        # half way between two narrow numbers: a nudge puts them on the side above. Other targets bring in log p.
        tied = (target == 0.0) & (logit > 0.0) & (logit < TIE_PROBABILITY)
        value, gradient = (where(tied, each * BESIDE_ONE[1], each) for each in (value, gradient))
    gradient = where(x.agreed & (gamma > 0.0), 0.0, gradient)
    gradient = where(x.infinite & x.above, math.inf, where(x.infinite, -math.inf, gradient))
    return where(x.infinite, math.inf, value), gradient


def _second_derivative(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    where, gamma = primitives.where, numbers["gamma"]
    x = _terms(primitives, logit, target)
    # u^(gamma-1) is multiplied as two square roots too: u^gamma / p^2 as its root over p and its root times u / p.
    root = _power(primitives, x, 0.5 * (gamma - 1.0))
    slope = _times_slope(primitives, x, logit, target, root)
    bend = (root * (gamma - 1.0)) * (x.k * x.ratio) * x.unit + 2.0 * slope
    first = _unscaled(primitives, x, (root * gamma) * x.k, bend)
    of_p = _unscaled(primitives, x, root, target / x.p_divisor) * _unscaled(primitives, x, root, x.u / x.p_divisor)
    others = of_p + (root * (x.share / x.q_divisor)) * (root * (x.u / x.q_divisor))
    # Next to p = 0 both may overflow; the square of 1/p grows faster.
    second = where(others > primitives.largest, others, first + others)
    limit = where(gamma == 0.0, 1.0, where(gamma < 1.0, math.inf, where(gamma == 1.0, 2.0, 0.0 * gamma)))
    return where(x.infinite, math.inf, where(x.agreed, limit, second))


def _gamma(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    where = primitives.where
    x = _terms(primitives, logit, target)
    root = _power(primitives, x, 0.5 * numbers["gamma"])
    # The products with log(u) first: a subnormal ce has rounding errors that log(u) would multiply.
    of_p, of_q = x.minus_log_p * x.minus_log_u, x.minus_log_q * x.minus_log_u
    derivative = -(root * (root * (target * of_p + x.share * of_q)))
    return where(x.infinite & (x.minus_log_u > 0.0), -math.inf, derivative)


def _targets(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    # q - p and log(q / p) have the same sign. Next to p = 1/2 the difference of the two logarithms would cancel; there
    # it is log(1 + |q - p| / min(p, q)), and q - p is exact.
    where, gamma = primitives.where, numbers["gamma"]
    x = _terms(primitives, logit, target)
    root = _power(primitives, x, 0.5 * gamma)
    middle = x.distance <= 0.5
    odds = primitives.log1p(where(middle, x.distance / where(x.above, x.q_divisor, x.p_divisor), 0.0))
    odds = where(middle, odds, primitives.absolute(x.minus_log_p - x.minus_log_q))
    derivative = root * ((root * gamma) * (x.distance * x.ratio) + root * odds)
    derivative = where(x.above, -derivative, derivative)
    derivative = where(x.agreed & (gamma > 0.0), 0.0, derivative)
    pole = x.certain & ((x.u > 0.0) | (gamma == 0.0))
    return where(pole & x.above, -math.inf, where(pole, math.inf, derivative))


PROBABILITY = ElementwiseForm(
    numbers=("gamma",),
    value_and_gradient=_value_and_gradient,
    second_derivative=_second_derivative,
    partials={"gamma": _gamma, "targets": _targets},
)
