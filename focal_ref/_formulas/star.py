"""The paper's alternate focal loss FL*, the cross entropy of a scaled and shifted margin.

Lin et al., arXiv:1708.02002, appendix A. With the margin ``s = x`` of a positive and ``s = -x`` of a negative element,

    t = gamma s + beta,    e = exp(-|t|),    g = sigmoid(-t) = (e if t >= 0 else 1) / (1 + e)

    value V               softplus(-t) / gamma = (max(-t, 0) + log1p(e)) / gamma
    d V / ds              -g
    d^2 V / ds^2          gamma e / (1 + e)^2
    d V / d beta          -g / gamma
    d V / d gamma         -N / gamma^2,    N = softplus(-t) + gamma s g

For t > 0, N is log1p(e) + gamma s g as it stands. For t < 0 its two terms cancel, both being close to |t|. There

    N = softplus(-t) + (t - beta) g = H - beta g,    H = |t| e / (1 + e) + log1p(e),

because ``|t| - |t| / (1 + e) = |t| e / (1 + e)``; all of H is small where e is.

The result has the relative error that e has from the absolute error of t, which would be up to 700 half ulp if t were
rounded to one number. So t is carried as ``high + low``, and exp(-low) = 1 - low to first order.
"""

from typing import NamedTuple

from focal_ref._formulas.elementwise import ElementwiseForm, Numbers
from focal_ref._formulas.focal import BESIDE_ONE, TIE_MARGIN
from focal_ref._formulas.primitives import Number, Primitives

FAR = 1e4
"""Beyond this |t|, e is 0 in every format."""
TAIL = 600.0
"""Beyond this |t|, e is multiplied as two square roots, so that no subnormal number meets a large factor."""
LARGE = 1e145
"""A larger gamma or margin is scaled by `UNIT`. The others can be split and multiplied, and beta can be added to their
product: that is less than half the last place of the largest number.
"""
UNIT = 2.0**-600


class _Terms(NamedTuple):
    """What value and derivatives share.

    Attributes
    ----------
    positive
        Whether the element is.
    product
        ``gamma s``; 0 where it comes with a factor of zero.
    easy
        Whether t > 0.
    magnitude, finite
        ``|high|``; the same, but 0 beyond `FAR`, where it comes with a factor of zero.
    rest
        What low adds to the magnitude.
    quotient
        ``|t| / gamma``, also where gamma s overflows.
    e, log_d, d
        As in the derivation, ``log1p(e)`` and ``1 + e``.
    in_tail, root, e_part
        Whether the magnitude is beyond `TAIL`; ``sqrt(e)`` there and 1 elsewhere; ``e = root e_part``.
    """

    positive: Number
    product: Number
    easy: Number
    magnitude: Number
    finite: Number
    rest: Number
    quotient: Number
    e: Number
    log_d: Number
    d: Number
    in_tail: Number
    root: Number
    e_part: Number


def _two_sum(a: Number, b: Number) -> tuple[Number, Number]:
    """``high + low == a + b`` exactly, ``high`` being the rounded sum (Knuth)."""
    total = a + b
    b_rounded = total - a
    return total, (a - (total - b_rounded)) + (b - b_rounded)


def _terms(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> _Terms:
    exp, absolute, where = primitives.exp, primitives.absolute, primitives.where
    gamma, beta = numbers["gamma"], numbers["beta"]
    positive = target > 0.5
    margin = where(positive, logit, -logit)
    infinite = absolute(margin) > primitives.largest
    finite_margin = where(infinite, 0.0, margin)

    # Powers of two, so that scaling is exact.
    one = 1.0 + 0.0 * gamma
    gamma_unit = where(gamma > LARGE, UNIT, one)
    margin_unit = where(absolute(finite_margin) > LARGE, UNIT, one)
    product, product_low = primitives.two_prod(gamma * gamma_unit, finite_margin * margin_unit)
    total, total_low = _two_sum(product, beta * gamma_unit * margin_unit)
    total, low = _two_sum(total, total_low + product_low)
    total = where(infinite, margin, total)
    easy = total > 0.0
    magnitude = absolute(total) / gamma_unit / margin_unit
    beyond = magnitude > FAR
    low = where(beyond, 0.0, low / gamma_unit / margin_unit)
    rest = where(easy, low, -low)

    in_tail = magnitude > TAIL
    e = exp(-magnitude) * (1.0 - rest)
    root = exp(where(in_tail, -0.5 * magnitude, 0.0))
    return _Terms(
        positive=positive,
        product=where(beyond, 0.0, gamma * finite_margin),
        easy=easy,
        magnitude=magnitude,
        finite=where(beyond, 0.0, magnitude),
        rest=rest,
        quotient=(absolute(total) / (gamma * gamma_unit)) / margin_unit,
        e=e,
        log_d=primitives.log1p(e),
        d=1.0 + e,
        in_tail=in_tail,
        root=root,
        e_part=where(in_tail, root * (1.0 - rest), e),
    )


def _e_over(x: _Terms, gamma: Number) -> Number:
    """``e / gamma`` where e is all that is left of log1p(e) and of sigmoid(-t), in the tail."""
    return x.e_part * (x.root / gamma)


def _value_and_gradient(
    primitives: Primitives, logit: Number, target: Number, numbers: Numbers, *, narrowed: bool
) -> tuple[Number, Number]:
    where, gamma = primitives.where, numbers["gamma"]
    x = _terms(primitives, logit, target, numbers)
    easy = where(x.in_tail, _e_over(x, gamma), x.log_d / gamma)
    hard = where(x.magnitude > FAR, x.quotient, (x.magnitude + (x.log_d + x.rest)) / gamma)
    if narrowed:
        # For t << 0 the value is (|t| + e) / gamma, which float64 cannot tell from |t| / gamma below -37. That, and
        # alpha times it, is often exactly half way between two narrow numbers: a nudge puts it on the side above.
        hard = where(x.magnitude > -TIE_MARGIN, hard * BESIDE_ONE[1], hard)
    slope = -(where(x.easy, x.e, 1.0) / x.d)
    return where(x.easy, easy, hard), where(x.positive, slope, -slope)


def _second_derivative(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    x = _terms(primitives, logit, target, numbers)
    return (numbers["gamma"] * x.root) * x.e_part / (x.d * x.d)


def _gamma(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    # Divided by gamma twice: its square over- or underflows early.
    where, gamma, beta = primitives.where, numbers["gamma"], numbers["beta"]
    x = _terms(primitives, logit, target, numbers)
    g = x.e / x.d
    easy = (x.log_d + x.product * g) / gamma / gamma
    easy = where(x.in_tail, (1.0 + x.product) * (x.root / gamma) * (x.e_part / gamma), easy)
    hard = ((x.finite * g + x.log_d) - beta / x.d) / gamma / gamma
    # With a gamma so small that both of these overflow, only their difference can be divided.
    apart = (x.finite + 1.0) * (x.root / gamma) * (x.e_part / gamma) - beta / gamma / gamma
    hard = where(x.in_tail & (gamma > 1e-100), apart, hard)
    return -where(x.easy, easy, hard)


def _beta(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    where, gamma = primitives.where, numbers["gamma"]
    x = _terms(primitives, logit, target, numbers)
    easy = where(x.in_tail, _e_over(x, gamma), x.e / x.d / gamma)
    return -where(x.easy, easy, 1.0 / x.d / gamma)


STAR = ElementwiseForm(
    numbers=("gamma", "beta"),
    value_and_gradient=_value_and_gradient,
    second_derivative=_second_derivative,
    partials={"gamma": _gamma, "beta": _beta},
)
