"""The closed forms of the focal loss, once, for every array library and every kernel.

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

The forms use a handful of primitives (`Primitives`) and no array library: an Array API namespace provides them directly
(`array_primitives`), and the Numba kernels inject vectorisable ones (`focal_ref._kernels.primitives`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

Number = Any
"""An array of the caller's library, or a scalar inside a kernel: the forms are the same for both."""


@dataclass(frozen=True)
class Primitives:
    """The operations that a closed form is built from.

    Attributes
    ----------
    exp, log1p, absolute, where, power
        As in the Array API standard. Kernels that never see soft targets may leave `power` out.
    two_prod
        ``two_prod(a, b) -> (high, low)`` with ``high + low == a * b`` exactly, ``high`` being the rounded product.
    number
        Turns a Python float into a constant that does not widen the arithmetic.
    largest
        The largest finite number of the arithmetic.
    compiled
        Decorates each form; the identity, or a just-in-time compiler.
    """

    exp: Callable[[Number], Number]
    log1p: Callable[[Number], Number]
    absolute: Callable[[Number], Number]
    where: Callable[[Number, Number, Number], Number]
    two_prod: Callable[[Number, Number], tuple[Number, Number]]
    number: Callable[[float], Number]
    largest: float
    power: Callable[[Number, Number], Number] | None = None
    compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function


class HardForms(NamedTuple):
    """Closed forms for targets that are exactly 0 or 1, as functions of the margin.

    Each takes ``(margin, gamma, gamma_tail)``; ``gamma + gamma_tail`` is the exponent, the tail being what the
    arithmetic's precision cut off from it (0 in float64). Derivatives are with respect to the margin, so the derivative
    with respect to the logit of a negative element is ``-gradient``.
    """

    value: Callable[..., Number]
    value_and_gradient: Callable[..., tuple[Number, Number]]
    second_derivative: Callable[..., Number]


class SoftForms(NamedTuple):
    """Closed forms for targets in [0, 1], as functions of ``(logit, target, gamma)``."""

    value_and_gradient: Callable[..., tuple[Number, Number]]
    second_derivative: Callable[..., Number]


SPECIAL_EXPONENTS = (0.0, 1.0, 2.0)
"""Values of gamma for which the modulating factor is a product instead of an exponential."""


_BESIDE_ONE = (1.0 - 2.0**-51, 1.0 + 2.0**-51)
_TIE_MARGIN = -30.0
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
    below_one, above_one, tie_margin = (primitives.number(value) for value in (*_BESIDE_ONE, _TIE_MARGIN))

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
        return w * off_tie(c, margin, gamma), -(w * (gamma * (p * finite_c) + q))

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

    return HardForms(value, value_and_gradient, second_derivative)


class _SoftTerms(NamedTuple):
    """What value and derivatives of a soft target share; the letters of the derivation in `soft_forms`."""

    magnitude: Number
    e: Number
    log_d: Number
    reciprocal: Number
    other: Number
    mixed: Number
    steep: Number
    base: Number
    ratio: Number
    slope: Number
    k: Number


def soft_forms(primitives: Primitives, exponent: float | None = None, *, narrowed: bool = False) -> SoftForms:
    """Build the closed forms for soft targets, the blended form ``p_t = p t + (1 - p)(1 - t)``.

    Let A be the weight that the target gives to the side on which the logit lies (``t`` for x >= 0, else ``1 - t``) and
    ``B = 1 - A``; then, with ``e = exp(-|x|)`` and ``d = 1 + e``,

        u  = 1 - p_t = (A e + B) / d                               a sum: nothing cancels
        ce = t softplus(-x) + (1 - t) softplus(x) = log1p(e) + B |x|
        value = u^gamma ce

    A target of exactly 0 or 1 has B in {0, 1}, which gives the hard forms back, operation by operation: the same bits.

    Parameters
    ----------
    primitives, exponent, narrowed
        As in `hard_forms`.
    """
    exp, log1p, absolute, where = primitives.exp, primitives.log1p, primitives.absolute, primitives.where
    two_prod, power = primitives.two_prod, primitives.power
    largest, far = primitives.largest, 1e4

    def terms(logit: Number, target: Number) -> _SoftTerms:
        magnitude = absolute(logit)
        e = exp(-magnitude)
        reciprocal = 1.0 / (1.0 + e)
        side = where(logit >= 0.0, target, 1.0 - target)  # A
        other = where(logit >= 0.0, 1.0 - target, target)  # B
        mixed = side * e + other  # u = mixed / d
        # Where e is most of it, mixed is e times a base near 1, which knows nothing of the error of e.
        steep = other <= e
        base = where(steep, side + other / where(steep & (e > 0.0), e, 1.0), mixed)
        # k = B - A as 1 - 2t, which is exact where it is small: 1 - t has been rounded, and B - A would be off by that.
        balance = 1.0 - 2.0 * target
        return _SoftTerms(
            magnitude=magnitude,
            e=e,
            log_d=log1p(e),
            reciprocal=reciprocal,
            other=other,
            mixed=mixed,
            steep=steep,
            base=base,
            # r = p q / u, where e cancels before it can be 0 / 0.
            ratio=where(steep, reciprocal / base, e * reciprocal / where(mixed > 0.0, mixed, 1.0)),
            # d ce / dx = p - t and k take the sign of the logit. Subtracted in this order, a vanishing slope of a hard
            # target keeps the sign of its limit.
            slope=-((side * e - other) * reciprocal),
            k=where(logit >= 0.0, balance, -balance),
        )

    def cross_entropy(x: _SoftTerms, magnitude: Number) -> Number:
        return where(x.other == 0.0, x.log_d, x.log_d + x.other * magnitude)

    def modulation(x: _SoftTerms, gamma: Number) -> Callable[[Number], Number]:
        # Multiplies by u^gamma. With a huge |x| the loss is of ordinary size although u^gamma has underflowed, so that
        # it is multiplied in two steps there.
        if exponent == 0.0:
            return lambda quantity: quantity
        if exponent in (1.0, 2.0):
            # A hard target takes the hard form's product. Off the edges there are more roundings in u, and its square
            # doubles them; there, exp(-2|x|) has one where e^2 has two.
            hard = (x.other == 0.0) | (x.other == 1.0)
            u = where(hard, x.mixed * x.reciprocal, x.mixed / (1.0 + x.e))
            if exponent == 1.0:
                return lambda quantity: u * quantity
            accurate = where(x.steep, exp(-2.0 * x.magnitude), 1.0) * (x.base * x.base) * exp(-2.0 * x.log_d)
            square = where(hard, u * u, accurate)
            return lambda quantity: where(x.magnitude > far, u * (u * quantity), square * quantity)
        # A power multiplies the error of its base by gamma. Where e is most of mixed, mixed^gamma is exp(-gamma |x|),
        # whose exponent is carried in two parts as in the hard form, times (A + B / e)^gamma; on the edge that is 1.
        s = where(x.magnitude > far, far, x.magnitude)
        high, low = two_prod(where(gamma > far, far, gamma), s)
        assert power is not None
        huge = x.magnitude > far
        powered = power(x.base, where(huge, 0.5 * gamma, gamma))
        factor = where(x.steep, exp(-high) * (1.0 - low), 1.0) * exp(-(gamma * x.log_d)) * powered
        return lambda quantity: where(huge, powered * (factor * quantity), factor * quantity)

    def value_and_gradient(logit: Number, target: Number, gamma: Number) -> tuple[Number, Number]:
        # d value / dx = u^gamma [gamma (u' / u) ce + ce'],  u' = p q (1 - 2t) = sign(x) p q (B - A)
        x = terms(logit, target)
        modulated = modulation(x, gamma)
        finite_ce = cross_entropy(x, where(x.magnitude > largest, largest, x.magnitude))
        gradient = modulated(gamma * (x.ratio * finite_ce) * x.k + x.slope)
        ce = cross_entropy(x, x.magnitude)
        if narrowed:
            # As in the hard form: for |x| >> 0 the value is B^gamma (B |x| + e (1 - gamma (B - A) |x|) + O(e^2)).
            below_one, above_one = _BESIDE_ONE
            nudged = where(gamma * x.k * x.magnitude > 1.0, ce * below_one, ce * above_one)
            ce = where((x.magnitude > -_TIE_MARGIN) & (x.other > 0.0), nudged, ce)
        # u^gamma may vanish where it meets an infinite cross entropy.
        value = where(ce > largest, ce, modulated(ce))
        return value, where(logit >= 0.0, gradient, -gradient)

    def second_derivative(logit: Number, target: Number, gamma: Number) -> Number:
        # d^2 value / dx^2 = u^gamma [gamma (gamma-1) (u'/u)^2 ce + gamma (u''/u) ce + 2 gamma (u'/u) ce' + ce'']
        # with u''/u = -r k (1 - e)/d and ce'' = p q = e / d^2. The first two are joined so that hard targets lose
        # nothing: gamma r k ce [(gamma - 1) r k - (1 - e)/d].
        # All of it is proportional to e, and near |x| = 700 a subnormal e meets a factor of several hundred: as in the
        # hard form, half of it is multiplied last there. On the edge r has no e in it, and nothing is that large.
        x = terms(logit, target)
        modulated = modulation(x, gamma)
        in_tail = (x.magnitude > 20.0) & (x.other > 0.0)
        root = exp(where(in_tail, -0.5 * x.magnitude, 0.0))
        e_part = where(in_tail, root, x.e)
        ratio_part = where(in_tail, root * x.reciprocal / where(in_tail, x.mixed, 1.0), x.ratio)
        ce = cross_entropy(x, where(x.magnitude > largest, largest, x.magnitude))
        finite_ce = where(ce > far, 0.0, ce)
        curvature = gamma * (x.ratio * x.k) - x.ratio * x.k - (1.0 - x.e) * x.reciprocal
        bracket = finite_ce * curvature + 2.0 * x.slope
        total = gamma * (ratio_part * x.k) * bracket + e_part * x.reciprocal * x.reciprocal
        # What overflows, for gamma > 1e150, meets a factor of zero.
        return modulated(where(absolute(total) > largest, 0.0, total)) * root

    return SoftForms(value_and_gradient, second_derivative)


def array_primitives(xp: Any, dtype: Any) -> Primitives:
    """Primitives of an Array API namespace for real floating-point arrays of one dtype."""
    info = xp.finfo(dtype)
    # Veltkamp's constant 2^ceil(precision / 2) + 1 splits a number into two halves whose products are exact.
    splitter = 134217729.0 if info.bits == 64 else 4097.0

    def halves(value: Number) -> tuple[Number, Number]:
        scaled = splitter * value
        high = scaled - (scaled - value)
        return high, value - high

    def two_prod(a: Number, b: Number) -> tuple[Number, Number]:
        product = a * b
        a_high, a_low = halves(a)
        b_high, b_low = halves(b)
        return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low

    return Primitives(
        exp=xp.exp,
        log1p=xp.log1p,
        absolute=xp.abs,
        where=xp.where,
        two_prod=two_prod,
        power=xp.pow,
        number=float,
        largest=float(info.max),
    )
