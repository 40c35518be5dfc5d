"""The quality focal loss, and the distance of a probability from its target, from which it is made.

Li et al., Generalized Focal Loss, NeurIPS 2020, arXiv:2006.04388. With ``p = sigmoid(x)``, ``q = 1 - p`` and

    ce = t softplus(-x) + (1 - t) softplus(x)
    delta = (1 - t) p - t q = p - t

the loss and its derivatives are

    value V             |delta|^beta ce
    d V / dx            sign(delta) |delta|^(beta-1) [beta p q ce + delta^2]
    d^2 V / dx^2        |delta|^(beta-2) p q {beta (beta-1) p q ce + beta delta (q - p) ce + (2 beta + 1) delta^2}
    d V / d beta        V log|delta|
    d V / dt            -sign(delta) beta |delta|^(beta-1) ce - x |delta|^beta

Where p equals t, they are taken as their limits for ``delta -> 0``, or as the mean of the limits from the two sides. So
the first derivatives in x and t are 0 there for every beta > 0, also for beta < 1, whose slopes are infinite of both
signs. The second derivative is 0 for beta > 2 and for beta = 1, ``2 (p q)^2 ce`` for beta = 2, +inf for 1 < beta < 2,
-inf for 0 < beta < 1. For beta = 0 the loss is ce, since 0^0 is 1, and its derivative in beta is -inf there.
"""

from collections.abc import Callable
from typing import NamedTuple

from focal_ref._formulas.elementwise import ElementwiseForm, Numbers
from focal_ref._formulas.focal import BESIDE_ONE, TIE_MARGIN
from focal_ref._formulas.primitives import Number, Primitives

FAR = 1e4
"""exp(-FAR) is zero, also where it meets the largest number."""
LARGE = 100.0
"""Logits that are a large factor themselves."""
TAIL = 20.0
"""Logits beyond which exp(-|x|) is multiplied in two halves, so that no subnormal number meets a large factor."""


class Distance(NamedTuple):
    """``|sigmoid(logit) - target|`` in factors that keep their digits; the letters of the derivation in `distance`.

    Attributes
    ----------
    positive
        Whether the logit is positive or zero.
    magnitude, finite
        ``|x|``; the same, at most the largest finite number.
    e, log_d, reciprocal
        ``exp(-|x|)``, ``log(d)`` and ``1 / d`` with ``d = 1 + e``.
    side, other
        A and B.
    steep
        Whether e is taken out of the base.
    beyond, equal
        Whether the probability lies beyond the target as seen from 1/2 on the logit's side; whether it is the target.
    base
        ``|B - A e|``, or ``|A - B / e|`` where steep; 1 where it is zero.
    size
        The distance itself.
    ratio
        ``p q`` over the distance; 0 where that is zero.
    """

    positive: Number
    magnitude: Number
    finite: Number
    e: Number
    log_d: Number
    reciprocal: Number
    side: Number
    other: Number
    steep: Number
    beyond: Number
    equal: Number
    base: Number
    size: Number
    ratio: Number


def distance(primitives: Primitives, logit: Number, target: Number) -> Distance:
    """Split ``|sigmoid(logit) - target|``.

    Let A be the weight that the target gives to the side on which the logit lies (``t`` for x >= 0, else ``1 - t``) and
    ``B = 1 - A``; then, with ``e = exp(-|x|)`` and ``d = 1 + e``,

        sign(x) (p - t) = (B - A e) / d

    which cancels where p is close to t and nowhere else. Where e is the larger part, the distance is
    ``e |A - B/e| / d``, whose base knows nothing of the error of e; at hard targets the base is 1.
    """
    exp, absolute, where = primitives.exp, primitives.absolute, primitives.where
    magnitude = absolute(logit)
    positive = logit >= 0.0
    e = exp(-magnitude)
    reciprocal = 1.0 / (1.0 + e)
    side = where(positive, target, 1.0 - target)
    other = where(positive, 1.0 - target, target)
    steep = other <= e
    difference = where(steep, other / where(steep & (e > 0.0), e, 1.0) - side, other - side * e)
    equal = difference == 0.0
    base = where(equal, 1.0, absolute(difference))
    return Distance(
        positive=positive,
        magnitude=magnitude,
        finite=where(magnitude > primitives.largest, primitives.largest, magnitude),
        e=e,
        log_d=primitives.log1p(e),
        reciprocal=reciprocal,
        side=side,
        other=other,
        steep=steep,
        beyond=difference > 0.0,
        equal=equal,
        base=base,
        size=where(equal, 0.0, where(steep, e * base, base) * reciprocal),
        ratio=where(equal, 0.0, where(steep, 1.0, e) * reciprocal / base),
    )


def times_power(primitives: Primitives, x: Distance, exponent: Number) -> Callable[[Number], Number]:
    """Return a function that multiplies by ``distance^exponent``; what overflows and meets a factor of zero gives 0."""
    exp, where, two_prod = primitives.exp, primitives.where, primitives.two_prod
    # With a large |x| the product may be of ordinary size although the power underflows: it is multiplied in halves.
    halved = (x.magnitude > LARGE) & (x.steep | (x.base < 2.0**-53) | (exponent > 16.0))
    share = where(halved, 0.5 * exponent, exponent)
    # A steep distance is exp(-|x|) base / d, and a power multiplies the error of exp(-|x|): the exponent share |x| is
    # carried as high + low, and exp(-low) = 1 - low to first order. A steep distance is at most 1/2, so that its power
    # is 0 for a share beyond FAR; the powers of two keep the splitting of a large |x| from overflowing.
    vanishing = (share > FAR) | (share * x.finite > FAR)
    high, low = two_prod(where(vanishing, FAR, share) * 2.0**30, where(vanishing, 1.0, x.finite) * 2.0**-30)
    decay = where(x.steep, exp(-high) * (1.0 - low), 1.0)
    factor = decay * exp(-(share * x.log_d)) * primitives.power(x.base, share)
    factor = where(x.equal & (exponent > 0.0), 0.0, factor)

    def times(quantity: Number) -> Number:
        kept = factor * where(factor > 0.0, quantity, 0.0)
        return where(halved, factor * kept, kept)

    return times


def log_distance(primitives: Primitives, x: Distance) -> Number:
    """Logarithm of the distance, and 0 where that is zero."""
    where = primitives.where
    # Near 1 the distance is 1 - (A + e / d), the target and the probability being close to opposite ends. Of positive
    # arguments, log1p is accurate in every array library.
    short = x.side + x.e * x.reciprocal
    near_one = short < 0.5
    beside = -primitives.log1p(where(near_one, short / x.size, 0.0))
    apart = primitives.log(x.base) - x.log_d - where(x.steep, x.finite, 0.0)
    return where(x.equal, 0.0, where(near_one, beside, apart))


def _cross_entropy(primitives: Primitives, x: Distance, magnitude: Number) -> Number:
    return primitives.where(x.other == 0.0, x.log_d, x.log_d + x.other * magnitude)


def _value_and_gradient(
    primitives: Primitives, logit: Number, target: Number, numbers: Numbers, *, narrowed: bool
) -> tuple[Number, Number]:
    where, beta = primitives.where, numbers["beta"]
    x = distance(primitives, logit, target)
    modulated = times_power(primitives, x, beta)
    # d V / dx = sign(delta) |delta|^beta [beta (p q / |delta|) ce + |delta|]
    gradient = modulated(beta * (x.ratio * _cross_entropy(primitives, x, x.finite)) + x.size)
    ce = _cross_entropy(primitives, x, x.magnitude)
    if narrowed:
        # As in the focal loss's forms: for |x| >> 0 the value is B^beta (B |x| + e (1 - beta |x|) + O(e^2)).
        below_one, above_one = BESIDE_ONE
        nudged = where(beta * x.finite > 1.0, ce * below_one, ce * above_one)
        ce = where((x.magnitude > -TIE_MARGIN) & (x.other > 0.0), nudged, ce)
    # The power may vanish where it meets an infinite cross entropy.
    value = where(ce > primitives.largest, ce, modulated(ce))
    return value, where(x.beyond == x.positive, gradient, -gradient)


def _second_derivative(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    where, infinity, beta = primitives.where, float("inf"), numbers["beta"]
    x = distance(primitives, logit, target)
    # With R = p q / |delta|, which has no e in it where the distance is steep,
    #     d^2 V / dx^2 = |delta|^beta {beta R ce [(beta - 1) R + sign(delta) (q - p)] + (2 beta + 1) p q}
    # Elsewhere all of it is proportional to e, which near |x| = 700 is subnormal and meets a factor of several hundred:
    # half of it is multiplied last there.
    in_tail = (x.magnitude > TAIL) & (x.other > x.e)
    root = primitives.exp(where(in_tail, -0.5 * x.finite, 0.0))
    e_part = where(in_tail, root, x.e)
    ratio_part = where(in_tail, root * x.reciprocal / x.base, x.ratio)
    ce = _cross_entropy(primitives, x, x.finite)
    tilt = (1.0 - x.e) * x.reciprocal
    bend = (beta - 1.0) * x.ratio + where(x.beyond, -tilt, tilt)
    total = beta * (ratio_part * ce) * bend + (2.0 * beta + 1.0) * (e_part * x.reciprocal * x.reciprocal)
    second = times_power(primitives, x, beta)(total) * root
    # The limits for delta -> 0, where |delta|^(beta-2) beta (beta-1) (p q)^2 ce is the leading term.
    p_q = x.e * x.reciprocal * x.reciprocal
    limit = where(beta == 2.0, 2.0 * p_q * p_q * ce, where(beta == 0.0, p_q, 0.0))
    limit = where((beta > 1.0) & (beta < 2.0), infinity, limit)
    limit = where((beta > 0.0) & (beta < 1.0), -infinity, limit)
    return where(x.equal, limit, second)


def _beta(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    where, beta = primitives.where, numbers["beta"]
    x = distance(primitives, logit, target)
    log = log_distance(primitives, x)
    # Either ce or log|delta| may be proportional to e and the other as large as |x|: half of e is multiplied last.
    # A steep distance has ce = log(d) + B |x|, with log(d) = e beyond 40; another one may have log|delta| so small that
    # it is -(A + e / d). Beyond 1400, e is 0 even where it meets the largest number.
    tiny = x.side + x.e * x.reciprocal < 1e-20
    in_tail = (x.steep | tiny) & (x.magnitude > TAIL) & (x.magnitude < 1400.0)
    root = primitives.exp(where(in_tail, -0.5 * x.magnitude, 0.0))
    log_d_part = where(in_tail & (x.magnitude > 2.0 * TAIL), root, x.log_d / root)
    ce_part = log_d_part + (x.other / root) * x.finite
    log_part = where(tiny & in_tail, -(x.side / root + root * x.reciprocal), log)
    ce = _cross_entropy(primitives, x, x.finite)
    derivative = times_power(primitives, x, beta)(where(x.steep, ce_part * log, ce * log_part)) * root
    # An infinite cross entropy is that of a target other than the probability's; where they are at opposite ends, the
    # logarithm wins.
    unbounded = (x.magnitude > primitives.largest) & (x.other > 0.0)
    derivative = where(unbounded, where(log < 0.0, -float("inf"), log), derivative)
    return where(x.equal & (beta == 0.0), -float("inf"), derivative)


def _targets(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    where, beta = primitives.where, numbers["beta"]
    x = distance(primitives, logit, target)
    # d V / dt = -|delta|^beta [sign(delta) beta ce / |delta| + x]; in ce / |delta| of a steep distance e cancels.
    e = where(x.steep & (x.e > 0.0), x.e, 1.0)
    log_d = where(x.steep & (x.magnitude > 2.0 * TAIL), 1.0, x.log_d / e)
    relative = (log_d + (x.other / e) * x.finite) * (1.0 + x.e) / x.base
    turn = where(x.equal, 0.0, beta * relative)
    total = times_power(primitives, x, beta)(where(x.beyond, turn, -turn) + x.finite)
    # At an infinite logit, either the distance is zero and its power wins over |x|, or the slope is infinite.
    unbounded = (x.magnitude > primitives.largest) & ((x.other > 0.0) | (beta == 0.0))
    total = where(unbounded, float("inf"), total)
    return where(x.positive, -total, total)


QUALITY = ElementwiseForm(
    numbers=("beta",),
    value_and_gradient=_value_and_gradient,
    second_derivative=_second_derivative,
    partials={"beta": _beta, "targets": _targets},
)
