"""The focal loss of hard targets: value, gradient and second derivative, as functions of the margin.

With the margin ``s = x`` for a positive and ``s = -x`` for a negative element, the paper's loss is

    FL = alpha_t (1 - p_t)^gamma (-log p_t),      p_t = sigmoid(s).

Evaluated as printed it cancels (``1 - p_t`` is 0 for ``s > 36.7`` in float64), overflows and gives NaN. Everything
here is written in ``e = exp(-|s|)``, which lies in [0, 1], so that nothing cancels and nothing overflows:

    d = 1 + e
    q = sigmoid(-s) = (e if s >= 0 else 1) / d                    1 - p_t
    p = sigmoid(s)  = (1 if s >= 0 else e) / d                    p_t
    c = softplus(-s) = max(-s, 0) + log1p(e)                      cross entropy, -log p_t
    w = q^gamma                                                   modulating factor

    value                 w c
    d value / ds          -w (gamma p c + q)
    d^2 value / ds^2      w p (gamma c (gamma p - q) + (2 gamma + 1) q)
    d value / d gamma     -w c softplus(s)

Soft targets have forms of their own (`focal_ref._formulas.soft`), which agree with these bit by bit at targets 0 and 1.
"""

from collections.abc import Callable
from typing import NamedTuple

from focal_ref._formulas.primitives import Number, Primitives


class HardForms(NamedTuple):
    """Closed forms for targets that are exactly 0 or 1, as functions of the margin.

    Each takes ``(margin, gamma, gamma_tail)``; ``gamma + gamma_tail`` is the exponent, the tail being what the
    arithmetic's precision cut off from it (0 in float64). The gradient is with respect to the margin, so the derivative
    with respect to the logit of a negative element is ``-gradient``.
    """

    value: Callable[..., Number]
    value_and_gradient: Callable[..., tuple[Number, Number]]
    second_derivative: Callable[..., Number]
    gamma_derivative: Callable[..., Number]


SPECIAL_EXPONENTS = (0.0, 1.0, 2.0)
"""Values of gamma for which the modulating factor is a product instead of an exponential."""


BESIDE_ONE = (1.0 - 2.0**-51, 1.0 + 2.0**-51)
TIE_MARGIN = -30.0
"""Below this margin the terms in e are within a hundred units in the last place of one."""


def hard_forms(primitives: Primitives, exponent: float | None = None, *, narrowed: bool = False) -> HardForms:
    """Build the closed forms for targets that are exactly 0 or 1.

    Parameters
    ----------
    primitives
        What to build them from.
    exponent
        One of `SPECIAL_EXPONENTS` to build them for that gamma alone, or None for any gamma.
    narrowed
        Whether float64 values will be rounded to a narrower format, which asks for the right side of a tie.
    """
    exp, log1p, absolute, where = primitives.exp, primitives.log1p, primitives.absolute, primitives.where
    two_prod, compiled = primitives.two_prod, primitives.compiled
    zero, half, one, two = (primitives.number(value) for value in (0.0, 0.5, 1.0, 2.0))
    largest, far, tail_margin = (primitives.number(value) for value in (primitives.largest, 1e4, -20.0))
    below_one, above_one, tie_margin = (primitives.number(value) for value in (*BESIDE_ONE, TIE_MARGIN))

    @compiled
    def terms(margin):
        # p, q, c and log(d). The magnitude enters c by addition alone, so c keeps its relative accuracy on both sides.
        magnitude = absolute(margin)
        e = exp(-magnitude)
        log_d = log1p(e)
        reciprocal = one / (one + e)
        easy = margin >= zero
        q = where(easy, e * reciprocal, reciprocal)
        p = where(easy, reciprocal, e * reciprocal)
        c = where(easy, log_d, magnitude + log_d)
        return p, q, c, log_d

    if exponent is None:

        @compiled
        def modulating_factor(margin, q, log_d, gamma, gamma_tail):
            # q^gamma = exp(-gamma softplus(s)) = exp(-gamma max(s, 0)) exp(-gamma log(d)).
            # The first exponent reaches 700, so its rounding alone would cost 700/2 ulp of the result: it is carried
            # as high + low, and exp(-low) = 1 - low to first order, low being at most half an ulp of 700.
            # Beyond a margin of 1e4 the cross entropy is 0 in every format, and for gamma > 1e4 the factor is 0 for
            # every s >= 0 (gamma log 2 > 745), so both may be capped there; two_prod then cannot overflow.
            s = where(margin > zero, margin, zero)
            s = where(s > far, far, s)
            high, low = two_prod(where(gamma > far, far, gamma), s)
            low = low + gamma_tail * s
            return exp(-high) * (one - low) * exp(-(gamma * log_d))

    elif exponent == 0.0:

        @compiled
        def modulating_factor(margin, q, log_d, gamma, gamma_tail):
            return one

    elif exponent == 1.0:

        @compiled
        def modulating_factor(margin, q, log_d, gamma, gamma_tail):
            return q

    elif exponent == 2.0:

        @compiled
        def modulating_factor(margin, q, log_d, gamma, gamma_tail):
            return q * q

    else:
        raise ValueError(f"exponent: got {exponent!r}; special forms exist for {SPECIAL_EXPONENTS}")

    if exponent is None:

        @compiled
        def times_gamma(gamma, factor):
            return gamma * factor

    else:
        constant = primitives.number(exponent)

        @compiled
        def times_gamma(gamma, factor):
            return constant * factor

    if narrowed:

        @compiled
        def off_tie(c, margin, gamma):
            # For s << 0 the value is |s| + e (1 - gamma |s|) + O(e^2), which float64 cannot tell from |s| below -37.
            # Times alpha, |s| is often exactly half way between two narrow numbers: 0.75 |s| for one |s| in two.
            # A nudge of four units in the last place of float64 puts it on the side where it belongs.
            nudged = where(gamma * -margin > one, c * below_one, c * above_one)
            return where(margin < tie_margin, nudged, c)

    else:

        @compiled
        def off_tie(c, margin, gamma):
            return c

    @compiled
    def value(margin, gamma, gamma_tail):
        _, q, c, log_d = terms(margin)
        return modulating_factor(margin, q, log_d, gamma, gamma_tail) * off_tie(c, margin, gamma)

    @compiled
    def value_and_gradient(margin, gamma, gamma_tail):
        p, q, c, log_d = terms(margin)
        w = modulating_factor(margin, q, log_d, gamma, gamma_tail)
        # At s = -inf, p c is 0 * inf although its limit is 0; with c finite the product is the limit.
        finite_c = where(c > largest, largest, c)
        return w * off_tie(c, margin, gamma), -(w * (times_gamma(gamma, p * finite_c) + q))

    @compiled
    def second_derivative(margin, gamma, gamma_tail):
        p, q, c, log_d = terms(margin)
        w = modulating_factor(margin, q, log_d, gamma, gamma_tail)
        # Near s = -700, p is subnormal and meets a factor of several hundred: its rounding error would be multiplied.
        # There p is split as exp(s/2) / d times exp(s/2), the second half being multiplied last.
        # gamma is multiplied into a p first and w last, so that nothing under- or overflows on the way:
        # gamma p c <= 0.3 gamma. What overflows all the same, for gamma > 1e150, meets a factor of zero.
        in_tail = margin < tail_margin
        root = exp(where(in_tail, half * margin, zero))
        p_part = where(in_tail, root * q, p)
        finite_c = where(c > far, zero, c)
        bracket = finite_c * (gamma * p - q) + two * q
        curvature = (gamma * p_part) * bracket + p_part * q
        if exponent is None:
            curvature = where(w > zero, curvature, w)
        return w * curvature * root

    @compiled
    def gamma_derivative(margin, gamma, gamma_tail):
        # With l = softplus(s) = -log q, one of c and l is |s| + log(d) and the other log(d), whichever side s lies on.
        # Near |s| = 700, log(d) = e is subnormal and meets a factor of several hundred: as in the second derivative it
        # is split into two halves, here e (1 - e/2) = exp(-|s|/2) exp(-|s|/2) (1 - e/2), the first multiplied last.
        # Beyond 1e4 the product is 0 in every format, also at infinity, where it would be 0 * inf.
        _, q, _, log_d = terms(margin)
        w = modulating_factor(margin, q, log_d, gamma, gamma_tail)
        magnitude = absolute(margin)
        in_tail = magnitude > -tail_margin
        root = exp(where(in_tail, -half * magnitude, zero))
        smaller = where(in_tail, root * (one - half * (root * root)), log_d)
        larger = where(magnitude > far, zero, magnitude + log_d)
        return -(w * (smaller * larger) * root)

    return HardForms(value, value_and_gradient, second_derivative, gamma_derivative)
