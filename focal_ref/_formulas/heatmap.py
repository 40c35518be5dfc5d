"""The focal loss of a heatmap of centres, whose negatives near a centre count less.

Law & Deng, CornerNet, ECCV 2018, arXiv:1808.01244, equation 1; Zhou et al., CenterNet, arXiv:1904.07850, equation 1.
The target is 1 at a centre and falls off around it. With ``p = sigmoid(x)`` and ``q = 1 - p``, and with the papers'
alpha called gamma, the value and its derivatives are

                        t = 1                       t < 1
    value V             q^gamma softplus(-x)        (1 - t)^beta p^gamma softplus(x)
    in x and in gamma   those of the focal loss     those of the focal loss, times (1 - t)^beta
    d V / d beta        0                           V log(1 - t)
    d V / dt            0                           -beta (1 - t)^(beta-1) p^gamma softplus(x)

The loss jumps at t = 1, which stands for "positive"; its derivative in t is that of the branch.
"""

from focal_ref._formulas.elementwise import ElementwiseForm, Numbers
from focal_ref._formulas.focal import hard_forms
from focal_ref._formulas.primitives import Number, Primitives


def _log_weight(primitives: Primitives, target: Number) -> Number:
    """Logarithm of 1 - t, and 0 at a centre."""
    # Of positive arguments, log1p is accurate in every array library; from 1/2 on, 1 - t is exact.
    where = primitives.where
    near = target >= 0.5
    away = where(near, 0.0, target)
    left = where(near & (target < 1.0), 1.0 - target, 1.0)
    return primitives.log(left) - primitives.log1p(away / (1.0 - away))


def _weight_in_halves(primitives: Primitives, target: Number, beta: Number) -> tuple[Number, Number]:
    """Two factors of (1 - t)^beta, which is 1 at a centre: equal ones if it might underflow before the loss does."""
    where = primitives.where
    away = where(target == 1.0, 0.0, target)
    left = 1.0 - away
    log = _log_weight(primitives, target)
    halved = beta * log < -600.0
    exponent = where(halved, 0.5 * beta, beta)
    # A power multiplies the error of 1 - t where that is rounded; there, t is below 1/2 and the logarithm is small.
    is_exact = 1.0 - left == away
    by_logarithm = primitives.exp(exponent * where(is_exact, 0.0, log))
    factor = where(is_exact, primitives.power(left, exponent), by_logarithm)
    return factor, where(halved, factor, 1.0)


def _weigh(primitives: Primitives, halves: tuple[Number, Number], quantity: Number) -> Number:
    """Multiply by the weight; a weight of zero gives zero, also where the quantity is infinite. NaN stays NaN."""
    first, second = halves
    infinite = primitives.absolute(quantity) > primitives.largest
    return first * (second * primitives.where(infinite & (first * second == 0.0), 0.0, quantity))


def _margin(primitives: Primitives, logit: Number, target: Number) -> Number:
    return primitives.where(target == 1.0, logit, -logit)


def _value_and_gradient(
    primitives: Primitives, logit: Number, target: Number, numbers: Numbers, *, narrowed: bool
) -> tuple[Number, Number]:
    forms = hard_forms(primitives, narrowed=narrowed)
    value, slope = forms.value_and_gradient(_margin(primitives, logit, target), numbers["gamma"], 0.0)
    slope = primitives.where(target == 1.0, slope, -slope)
    halves = _weight_in_halves(primitives, target, numbers["beta"])
    return _weigh(primitives, halves, value), _weigh(primitives, halves, slope)


def _second_derivative(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    margin = _margin(primitives, logit, target)
    second = hard_forms(primitives).second_derivative(margin, numbers["gamma"], 0.0)
    return _weigh(primitives, _weight_in_halves(primitives, target, numbers["beta"]), second)


def _gamma(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    margin = _margin(primitives, logit, target)
    derivative = hard_forms(primitives).gamma_derivative(margin, numbers["gamma"], 0.0)
    return _weigh(primitives, _weight_in_halves(primitives, target, numbers["beta"]), derivative)


def _loss_in_halves(primitives: Primitives, margin: Number, gamma: Number) -> tuple[Number, Number]:
    """Two factors of the focal loss, of which a tiny one meets a large number before it becomes subnormal."""
    # Beyond a margin of 160 the loss is exp(-(1 + gamma) s) in every format, the square of that of half the margin.
    in_tail = margin > 160.0
    loss = hard_forms(primitives).value(primitives.where(in_tail, 0.5 * margin, margin), gamma, 0.0)
    return loss, primitives.where(in_tail, loss, 1.0)


def _beta(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    where = primitives.where
    first, second = _loss_in_halves(primitives, _margin(primitives, logit, target), numbers["gamma"])
    log = _log_weight(primitives, target)
    # A target of 0 has log(1 - t) = 0, which is 0 * inf at an infinite logit.
    first = where((log == 0.0) & (first > primitives.largest), 0.0, first)
    return _weigh(primitives, _weight_in_halves(primitives, target, numbers["beta"]), log * first) * second


def _targets(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    where, beta = primitives.where, numbers["beta"]
    first, second = _loss_in_halves(primitives, _margin(primitives, logit, target), numbers["gamma"])
    weight, rest = _weight_in_halves(primitives, target, beta)
    # One factor of the weight is multiplied into beta / (1 - t) first, which could overflow otherwise.
    centre = target == 1.0
    coefficient = where(centre, 0.0, beta) * weight / where(centre, 1.0, 1.0 - target)
    unweighted = (coefficient * rest == 0.0) & (first > primitives.largest)
    return -(rest * (coefficient * where(unweighted, 0.0, first)) * second)


HEATMAP = ElementwiseForm(
    numbers=("gamma", "beta"),
    value_and_gradient=_value_and_gradient,
    second_derivative=_second_derivative,
    partials={"gamma": _gamma, "beta": _beta, "targets": _targets},
)
