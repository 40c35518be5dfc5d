"""What the softmax focal loss of a row is built from: exponentials, their sums, and the closed forms of one class.

A class's margin is ``s = z_i - log sum_{k != i} exp(z_k)``; the letters are those of `focal_ref._formulas.softmax`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from focal_ref._formulas.focal import BESIDE_ONE, SPECIAL_EXPONENTS
from focal_ref._formulas.primitives import Number, Primitives

Array = Any

TAIL = 600.0
"""Differences of logits beyond which ``exp(-|s|)`` may be subnormal; its logarithm's argument is 1 to all digits."""

FAR = 1e4
"""Differences of logits beyond which p or q is 0, and gammas beyond which q^gamma is for q < 1/2."""

TIE = 2.0**-40
"""Below this the sum of the further classes may be lost in a cross entropy of thirty and more."""


class Exponentials(NamedTuple):
    """``exp(z - r)`` of each class, for a reference r of the row.

    ``high + low`` is ``z - r`` exactly. Above the reference `scaled` is zero. `rest` is the sum of `scaled` less one of
    the classes at the reference.
    """

    high: Array
    low: Array
    scaled: Array
    at_reference: Array
    rest: Array


class Terms(NamedTuple):
    """What value and derivatives of one class share: ``high + low = z_i - r``, and ``others = S = 1 + other_rest``."""

    high: Array
    low: Array
    p: Array
    q: Array
    c: Array
    log_q: Array
    w: Array
    others: Array
    other_rest: Array


def exponentials_below(xp: Any, logits: Array, reference: Array) -> Exponentials:
    """Exponentials of the classes that are not above the reference of their row."""
    high = logits - reference
    part = high - logits
    low = (logits - (high - part)) - (reference + part)
    low = xp.where(xp.abs(high) < xp.inf, low, 0.0)
    below, at_reference = logits < reference, logits == reference
    exponential = xp.exp(xp.where(below, high, 0.0))
    exponential = xp.where(below, exponential + exponential * low, 0.0)
    # Counting those at the reference spares the subtraction of one of them from a sum to which the rest may be lost.
    maxima = count(xp, at_reference, logits)
    rest = row_sum(xp, exponential) + xp.where(maxima > 1.0, maxima - 1.0, 0.0)
    scaled = xp.where(at_reference, xp.ones_like(logits), exponential)
    return Exponentials(high, low, scaled, at_reference, rest)


class MarginForms(NamedTuple):
    """Closed forms of one class.

    Three give the numbers of `Terms`, in their order: `below` takes ``(high, low, own, rest, gamma)`` of a class that
    is not above all others, `own` being its exponential, `above` takes ``(high, low, rest, gamma)`` of the one that is,
    and each is meaningless for the other kind; `either` takes what `below` does of any class.

    The others take these numbers: ``value(terms, gamma, share)`` is ``share w c``, ``slope(terms, gamma)`` the
    derivative with respect to the margin, negated, ``second_derivative(terms, gamma)`` the second one, and
    ``gamma_derivative(terms)``, which is ``w c log q``, the one with respect to gamma.
    """

    below: Callable[..., tuple[Number, ...]]
    above: Callable[..., tuple[Number, ...]]
    either: Callable[..., tuple[Number, ...]]
    value: Callable[..., Number]
    slope: Callable[..., Number]
    second_derivative: Callable[..., Number]
    gamma_derivative: Callable[..., Number]


def margin_forms(primitives: Primitives, exponent: float | None = None, *, narrowed: bool = False) -> MarginForms:
    """Build the closed forms of one class of a row.

    Parameters
    ----------
    primitives
        What to build them from, in float64: `exp` is asked for numbers <= 0 alone, `log1p` for any >= 0, and `log` for
        any >= 1.
    exponent
        One of `focal_ref._formulas.SPECIAL_EXPONENTS` to build them for that gamma alone, or None for any gamma.
    narrowed
        Whether values are rounded to a narrower format next, which asks for the right side of a tie.
    """
    exp, log1p, log, power = primitives.exp, primitives.log1p, primitives.log, primitives.power
    absolute, where, two_prod = primitives.absolute, primitives.where, primitives.two_prod
    number, compiled = primitives.number, primitives.compiled
    minus_zero, zero, half, one, two = (number(value) for value in (-0.0, 0.0, 0.5, 1.0, 2.0))
    far, tail_distance, tie, tie_distance = (number(value) for value in (FAR, TAIL, TIE, -30.0))
    below_one, above_one = (number(value) for value in BESIDE_ONE)
    largest_power, largest_exponent = number(1e300), number(690.0)

    if exponent is None:

        @compiled
        def factor_below(q, log_q, gamma):
            return exp(gamma * log_q)

        @compiled
        def factor_above(difference, rounding, u, q, c, log_q, others, rest, gamma):
            # q^gamma = exp(-gamma (z_i - r)) S^gamma (1 + u)^-gamma. As in `focal`, the first exponent is carried as
            # high + low: its rounding alone, or gamma times the rounding of u, would cost more than all the rest. Where
            # these factors leave the range of the arithmetic, or q is no small number, the logarithm does.
            powered = power(others, gamma)
            capped = where(gamma > far, far, gamma)
            leading, lower_part = two_prod(capped, where(difference > far, far, difference))
            factored = exp(-leading) * (one - (lower_part + capped * rounding)) * exp(-(gamma * c)) * powered
            in_range = (u < one) & (powered < largest_power) & ((leading < largest_exponent) | (rest == zero))
            return where(in_range, factored, exp(gamma * log_q))

    elif exponent in SPECIAL_EXPONENTS:
        if exponent == 0.0:

            @compiled
            def factor_below(q, log_q, gamma):
                return one

        elif exponent == 1.0:

            @compiled
            def factor_below(q, log_q, gamma):
                return q

        else:

            @compiled
            def factor_below(q, log_q, gamma):
                return q * q

        @compiled
        def factor_above(difference, rounding, u, q, c, log_q, others, rest, gamma):
            return factor_below(q, log_q, gamma)

    else:
        raise ValueError(f"exponent: got {exponent!r}; special forms exist for {SPECIAL_EXPONENTS}")

    @compiled
    def below(high, low, own, rest, gamma):
        other_rest = rest - own
        others = one + other_rest
        total = one + rest
        q = others / total
        log_q = -log1p(own / others)
        w = factor_below(q, log_q, gamma)
        c = (log1p(rest) - low) - high
        return high, low, own / total, q, c, log_q, w, others, other_rest

    @compiled
    def above(high, low, rest, gamma):
        difference = where(high > zero, high, zero)
        # What a huge difference was rounded by may be huge itself.
        rounding = where(difference > far, zero, low)
        others = one + rest
        e = exp(-difference)
        u = others * (e - e * rounding)
        p, q, c = one / (one + u), u / (one + u), log1p(u)
        # 1 / u is infinite where u is subnormal.
        tail = difference > tail_distance
        log_q = where(tail, log(others) - difference, -log1p(one / where(tail, one, u)))
        w = factor_above(difference, rounding, u, q, c, log_q, others, rest, gamma)
        return high, low, p, q, c, log_q, w, others, rest

    @compiled
    def either(high, low, own, rest, gamma):
        is_above = high > zero
        _, _, p, q, c, log_q, w, others, other_rest = above(high, low, rest, gamma)
        _, _, p_below, q_below, c_below, log_q_below, w_below, others_below, other_rest_below = below(
            high, low, own, rest, gamma
        )
        return (
            high,
            low,
            where(is_above, p, p_below),
            where(is_above, q, q_below),
            where(is_above, c, c_below),
            where(is_above, log_q, log_q_below),
            where(is_above, w, w_below),
            where(is_above, others, others_below),
            where(is_above, other_rest, other_rest_below),
        )

    if narrowed:

        @compiled
        def off_tie(high, low, p, c, other_rest, gamma):
            # For z_i << r the value is d + (S - 1) + X_i (1 - gamma d) + ..., where d = r - z_i alone may be all that
            # float64 can hold; times the share, it is often exactly half way between two narrow numbers. A nudge of
            # four units in the last place puts it on the side where it belongs.
            bend = one - gamma * c
            left = other_rest - low
            up = where(left == zero, bend, left + p * bend) > zero
            nudged = where(up, c * above_one, c * below_one)
            return where((high < tie_distance) & (other_rest < tie), nudged, c)

    else:

        @compiled
        def off_tie(high, low, p, c, other_rest, gamma):
            return c

    @compiled
    def value(terms, gamma, share):
        high, low, p, _, c, _, w, _, other_rest = terms
        c = off_tie(high, low, p, c, other_rest, gamma)
        return where(share == zero, zero, share * (w * c))

    @compiled
    def slope(terms, gamma):
        _, _, p, q, c, _, w, _, _ = terms
        finite_c = where(c > far, zero, c)
        return w * (gamma * (p * finite_c) + q)

    @compiled
    def tail_of(high, low):
        # Where the margin is far from 0, and exp(-|z_i - r| / 2) there.
        tail = absolute(high) > tail_distance
        root = exp(-half * absolute(high))
        return tail, root + root * (half * where(high > zero, -low, low))

    @compiled
    def second_derivative(terms, gamma):
        # Near z_i - r = -700, p is subnormal and meets a factor of several hundred: as in `focal`, half of it is
        # multiplied last. What overflows, for gamma > 1e150, meets a factor of zero.
        high, low, p, q, c, _, w, others, _ = terms
        tail, root = tail_of(high, low)
        tail = tail & (high < zero)
        p_part = where(tail, root / others, p)
        finite_c = where(c > far, zero, c)
        bracket = finite_c * (gamma * p - q) + two * q
        curvature = (gamma * p_part) * bracket + p_part * q
        return w * where(w > zero, curvature, zero) * where(tail, root, one)

    @compiled
    def gamma_derivative(terms):
        # In either tail one of c and log q is proportional to exp(-|s|), and the other is several hundred.
        high, low, _, _, c, log_q, w, others, _ = terms
        tail, root = tail_of(high, low)
        finite = absolute(high) < far
        c_part = where(tail & (high > zero), others * root, c)
        log_part = where(tail & (high < zero), -root / others, log_q)
        product = where(finite, c_part, zero) * where(finite, log_part, minus_zero)
        return w * product * where(tail, root, one)

    return MarginForms(below, above, either, value, slope, second_derivative, gamma_derivative)


def undefined_rows(xp: Any, logits: Array) -> Array:
    """Rows in which no softmax exists."""
    none = xp.all(logits == -xp.inf, axis=-1, keepdims=True)
    return xp.any(xp.isnan(logits), axis=-1, keepdims=True) | none | (count(xp, logits == xp.inf, logits) > 1.0)


def picked(xp: Any, mask: Array, values: Array) -> Array:
    """The value at the only class of a mask, 0 where there is none; what is one value a row stays as it is."""
    if values.shape[-1] == 1:
        return values
    return xp.sum(xp.where(mask, values, 0.0), axis=-1, keepdims=True)


def count(xp: Any, mask: Array, like: Array) -> Array:
    """How many classes of a row a mask holds."""
    return xp.sum(xp.where(mask, xp.ones_like(like), 0.0), axis=-1, keepdims=True)


def row_max(xp: Any, values: Array) -> Array:
    """Maximum over the last axis, 0 where that is empty."""
    empty = values.shape[-1] == 0
    return xp.sum(values, axis=-1, keepdims=True) if empty else xp.max(values, axis=-1, keepdims=True)


def row_sum(xp: Any, terms: Array) -> Array:
    """Sums over the last axis by halving: the error grows with log2(C), and the order depends on C alone."""
    size = terms.shape[-1]
    if size == 0:
        return xp.sum(terms, axis=-1, keepdims=True)
    while size > 1:
        half = (size + 1) // 2
        pairs = terms[..., : size - half] + terms[..., half:]
        terms = pairs if size == 2 * half else xp.concat([pairs, terms[..., size - half : half]], axis=-1)
        size = half
    return terms
