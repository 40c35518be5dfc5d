"""The focal loss of soft targets, the blended form, as functions of logit and target."""

import math
from collections.abc import Callable
from typing import NamedTuple

from focal_ref._formulas.focal import BESIDE_ONE, TIE_MARGIN
from focal_ref._formulas.primitives import Number, Primitives


class SoftForms(NamedTuple):
    """Closed forms for targets in [0, 1], as functions of ``(logit, target, gamma)``."""

    value_and_gradient: Callable[..., tuple[Number, Number]]
    second_derivative: Callable[..., Number]
    gamma_derivative: Callable[..., Number]
    target_derivative: Callable[..., Number]


class _SoftTerms(NamedTuple):
    """What value and derivatives of a soft target share; the letters of the derivation in `soft_forms`."""

    magnitude: Number
    e: Number
    log_d: Number
    reciprocal: Number
    side: Number
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
    log, two_prod, power = primitives.log, primitives.two_prod, primitives.power
    largest, far = primitives.largest, 1e4
    # Limits that depend on the precision: exp(-x / 2) is normal up to 1348 in float64 and 168 in float32, and so on.
    largest_depth, depth_of_power = 1.9 * math.log(largest), 0.4 * math.log(largest)
    largest_exponent, small_unit = 1.8 * math.log2(largest), 2.0 ** -int(0.6 * math.log2(largest))

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
            side=side,
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
        huge = x.magnitude > far
        powered = power(x.base, where(huge, 0.5 * gamma, gamma))
        # It overflows for gamma > 1024 alone. There exp(-gamma |x|) vanishes, and the product is 0, u being below 0.54.
        powered = where(powered > largest, 0.0, powered)
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
            below_one, above_one = BESIDE_ONE
            nudged = where(gamma * x.k * x.magnitude > 1.0, ce * below_one, ce * above_one)
            ce = where((x.magnitude > -TIE_MARGIN) & (x.other > 0.0), nudged, ce)
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

    def gamma_derivative(logit: Number, target: Number, gamma: Number) -> Number:
        # d value / d gamma = u^gamma ce log(u), where -log(u) = log1p((1 - u) / u) = log1p((A + B e) / (A e + B)) is
        # accurate also next to u = 1. Where u is tiny, that quotient may overflow, and log(d) - log(mixed) is accurate.
        x = terms(logit, target)
        modulated = modulation(x, gamma)
        ce = cross_entropy(x, x.magnitude)
        direct = (x.mixed < 1e-30) | (x.other == 0.0)
        odds = (x.side + x.other * x.e) / where(direct, 1.0, x.mixed)
        logarithm = x.log_d + where(x.steep, x.magnitude, 0.0) - log(where(direct, x.base, 1.0))
        logarithm = where(direct, logarithm, log1p(odds))
        # The smaller of ce and -log(u) is e (1 - e/2) + B |x| or e (1 - e/2) + A where B or A is next to nothing. A
        # subnormal e must not meet a factor of several hundred: as in the hard form, half of it is multiplied last.
        smaller, larger = where(x.other < x.side, ce, logarithm), where(x.other < x.side, logarithm, ce)
        minor = where(x.other < x.side, x.other, x.side)
        in_tail = (x.magnitude > 20.0) & (x.magnitude <= far) & (minor < 1e-20)
        depth = where(x.magnitude > largest_depth, largest_depth, x.magnitude)
        root = exp(where(in_tail, -0.5 * depth, 0.0))
        rest = minor / root * where(in_tail & (x.other < x.side), x.magnitude, 1.0)
        smaller = where(in_tail, root * (1.0 - 0.5 * (root * root)) + rest, smaller)
        # Of hard targets nothing is left there, also at infinity, where it would be 0 * inf.
        product = where((x.magnitude > far) & (minor == 0.0), 0.0, smaller * larger)
        # u^gamma may vanish where it meets an infinite cross entropy.
        return -where(product > largest, product, modulated(product) * root)

    def target_derivative(logit: Number, target: Number, gamma: Number) -> Number:
        # d value / dt = u^gamma [gamma (q - p) / u ce - x]: both terms have the sign of -x, so nothing cancels. It is
        #     -sign(x) |x| u^gamma (gamma h + 1),    h = (1 - e) / |x| ce / (A e + B) <= 1,
        # whose parts neither overflow nor become 0 / 0. Where e is most of A e + B, both ce and that are divided by e.
        if exponent == 0.0:
            return -logit
        x = terms(logit, target)
        magnitude = where(x.magnitude > largest, largest, x.magnitude)
        # Where it is steep, u <= e (2 - e) / (1 + e) < 0.54: u^gamma becomes 0 before the root of base^gamma overflows.
        gamma = where(x.steep & (gamma > largest_exponent), largest_exponent, gamma)
        # (1 - e) / |x| next to x = 0 needs the |x| that the rounded e belongs to, -log(e): 1 - e is exact there.
        near = x.e > 0.5
        changed = near & (x.e < 1.0)
        decline = where(changed, (1.0 - x.e) / -log(where(changed, x.e, 0.5)), 1.0)
        divisor = where(x.steep & (x.e > 0.0), x.e, 1.0)
        log_part = where(x.steep & (x.e < 1e-17), 1.0, x.log_d / divisor)
        other_part = x.other / divisor
        far_out = (1.0 - x.e) * (log_part / where(near, 1.0, magnitude) + other_part)
        h = where(near, decline * (log_part + other_part * where(near, magnitude, 0.0)), far_out) / x.base
        # Where u^gamma may be subnormal or zero and |x| makes up for it, its root is multiplied twice.
        deep = gamma * magnitude > depth_of_power
        root_gamma = where(deep, 0.5 * gamma, gamma)
        root = power_of_u(x, magnitude, root_gamma)
        derivative = (magnitude * root) * (where(deep, root, 1.0) * (gamma * h + 1.0))
        limit = where((x.other == 0.0) & (gamma > 0.0), 0.0, x.magnitude)
        derivative = where(x.magnitude > largest, limit, derivative)
        return where(logit >= 0.0, -derivative, derivative)

    def power_of_u(x: _SoftTerms, magnitude: Number, gamma: Number) -> Number:
        # As in `modulation`, but the loss of a logit that is right decays as exp(-gamma |x|) however small gamma is, so
        # that |x| has no cap. Beyond a product of 1e4 the factor is 0; a huge |x| that meets a tiny gamma is scaled.
        steep_gamma = where(x.steep, gamma, 0.0)
        vanishing = steep_gamma * magnitude > far
        huge = magnitude > 1.0 / small_unit
        high, low = two_prod(
            where(vanishing, far, where(huge, where(vanishing, 0.0, steep_gamma) / small_unit, steep_gamma)),
            where(vanishing, 1.0, where(huge, magnitude * small_unit, magnitude)),
        )
        return exp(-high) * (1.0 - low) * exp(-(gamma * x.log_d)) * power(x.base, gamma)

    return SoftForms(value_and_gradient, second_derivative, gamma_derivative, target_derivative)
