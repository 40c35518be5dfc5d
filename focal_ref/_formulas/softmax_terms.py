"""What the softmax focal loss of a row is built from: exponentials, their sums, and the closed forms of one class.

A class's margin is ``s = z_i - log sum_{k != i} exp(z_k)``; the letters are those of `focal_ref._formulas.softmax`.
"""

from typing import Any, NamedTuple

from focal_ref._formulas.focal import BESIDE_ONE
from focal_ref._formulas.primitives import array_primitives

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


def terms_below(xp: Any, high: Array, low: Array, own: Array, rest: Array, gamma: Array) -> Terms:
    """Terms of a class that is not above all others, where `own` is its exponential; meaningless for one that is."""
    other_rest = rest - own
    others = 1.0 + other_rest
    total = 1.0 + rest
    log_q = -xp.log1p(own / others)
    w = xp.exp(gamma * log_q)
    c = (xp.log1p(rest) - low) - high
    return Terms(high, low, own / total, others / total, c, log_q, w, others, other_rest)


def terms_above(xp: Any, high: Array, low: Array, rest: Array, gamma: Array) -> Terms:
    """Terms of the class above all others; meaningless for any other."""
    difference = xp.where(high > 0.0, high, 0.0)
    # What a huge difference was rounded by may be huge itself.
    rounding = xp.where(difference > FAR, 0.0, low)
    others = 1.0 + rest
    e = xp.exp(-difference)
    u = others * (e - e * rounding)
    c = xp.log1p(u)
    # 1 / u is infinite where u is subnormal.
    tail = difference > TAIL
    log_q = xp.where(tail, xp.log(others) - difference, -xp.log1p(1.0 / xp.where(tail, 1.0, u)))
    # q^gamma = exp(-gamma (z_i - r)) S^gamma (1 + u)^-gamma. As in `focal`, the first exponent is carried as high +
    # low: its rounding alone, or gamma times the rounding of u, would cost more than all the rest. Where these factors
    # leave the range of the arithmetic, or q is no small number, the logarithm does.
    powered = xp.pow(others, gamma)
    capped = xp.where(gamma > FAR, FAR, gamma)
    exponent, lower_part = array_primitives(xp, high.dtype).two_prod(
        capped, xp.where(difference > FAR, FAR, difference)
    )
    factored = xp.exp(-exponent) * (1.0 - (lower_part + capped * rounding)) * xp.exp(-(gamma * c)) * powered
    in_range = (u < 1.0) & (powered < 1e300) & ((exponent < 690.0) | (rest == 0.0))
    w = xp.where(in_range, factored, xp.exp(gamma * log_q))
    return Terms(high, low, 1.0 / (1.0 + u), u / (1.0 + u), c, log_q, w, others, rest)


def margin_value(xp: Any, terms: Terms, gamma: Array, share: Array, narrowed: bool) -> Array:
    """``share w c``."""
    c = terms.c
    if narrowed:
        # For z_i << r the value is d + (S - 1) + X_i (1 - gamma d) + ..., where d = r - z_i alone may be all that
        # float64 can hold; times the share, it is often exactly half way between two narrow numbers. A nudge of four
        # units in the last place puts it on the side where it belongs.
        below_one, above_one = BESIDE_ONE
        bend = 1.0 - gamma * c
        left = terms.other_rest - terms.low
        up = xp.where(left == 0.0, bend, left + terms.p * bend) > 0.0
        nudged = xp.where(up, c * above_one, c * below_one)
        c = xp.where((terms.high < -30.0) & (terms.other_rest < TIE), nudged, c)
    return xp.where(share == 0.0, 0.0, share * (terms.w * c))


def margin_slope(xp: Any, terms: Terms, gamma: Array) -> Array:
    """A, the derivative with respect to the margin, negated."""
    finite_c = xp.where(terms.c > FAR, 0.0, terms.c)
    return terms.w * (gamma * (terms.p * finite_c) + terms.q)


def margin_second_derivative(xp: Any, terms: Terms, gamma: Array) -> Array:
    """The second derivative with respect to the margin."""
    # Near z_i - r = -700, p is subnormal and meets a factor of several hundred: as in `focal`, half of it is multiplied
    # last. What overflows, for gamma > 1e150, meets a factor of zero.
    tail, root = _tail(xp, terms)
    tail = tail & (terms.high < 0.0)
    p_part = xp.where(tail, root / terms.others, terms.p)
    finite_c = xp.where(terms.c > FAR, 0.0, terms.c)
    bracket = finite_c * (gamma * terms.p - terms.q) + 2.0 * terms.q
    curvature = (gamma * p_part) * bracket + p_part * terms.q
    return terms.w * xp.where(terms.w > 0.0, curvature, 0.0) * xp.where(tail, root, 1.0)


def margin_gamma_derivative(xp: Any, terms: Terms) -> Array:
    """``w c log q``, the derivative with respect to gamma."""
    # In either tail one of c and log q is proportional to exp(-|s|), and the other is several hundred.
    tail, root = _tail(xp, terms)
    finite = xp.abs(terms.high) < FAR
    c_part = xp.where(tail & (terms.high > 0.0), terms.others * root, terms.c)
    log_part = xp.where(tail & (terms.high < 0.0), -root / terms.others, terms.log_q)
    product = xp.where(finite, c_part, 0.0) * xp.where(finite, log_part, -0.0)
    return terms.w * product * xp.where(tail, root, 1.0)


def _tail(xp: Any, terms: Terms) -> tuple[Array, Array]:
    """Where the margin is far from 0, and ``exp(-|z_i - r| / 2)`` there."""
    tail = xp.abs(terms.high) > TAIL
    root = xp.exp(-0.5 * xp.abs(terms.high))
    return tail, root + root * (0.5 * xp.where(terms.high > 0.0, -terms.low, terms.low))


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
