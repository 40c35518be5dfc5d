"""The varifocal loss: cross entropy weighted by the target for positives, a focal loss for negatives.

Zhang et al., VarifocalNet, CVPR 2021, arXiv:2008.13367, equation 2. With ``p = sigmoid(x)``, ``q = 1 - p`` and
``ce = t softplus(-x) + (1 - t) softplus(x)``, the value and its derivatives are

                        t > 0               t = 0
    value V             t ce                alpha p^gamma softplus(x)
    d V / dx            t (p - t)           alpha times that of the focal loss of a negative
    d^2 V / dx^2        t p q               alpha times that of the focal loss of a negative
    d V / d alpha       0                   p^gamma softplus(x)
    d V / d gamma       0                   alpha p^gamma softplus(x) log(p)
    d V / dt            ce - t x            0

The loss jumps at t = 0, which stands for "negative"; its derivative in t is that of the branch.
"""

from focal_ref._formulas.elementwise import ElementwiseForm, Numbers
from focal_ref._formulas.focal import hard_forms
from focal_ref._formulas.primitives import Number, Primitives
from focal_ref._formulas.soft import soft_forms


def weighted(primitives: Primitives, weight: Number, quantity: Number) -> Number:
    """Multiply; a weight of zero gives zero, also where the quantity is infinite. NaN stays NaN."""
    infinite = primitives.absolute(quantity) > primitives.largest
    return weight * primitives.where((weight == 0.0) & infinite, 0.0, quantity)


def _value_and_gradient(
    primitives: Primitives, logit: Number, target: Number, numbers: Numbers, *, narrowed: bool
) -> tuple[Number, Number]:
    alpha, gamma, positive = numbers["alpha"], numbers["gamma"], target > 0.0
    ce, slope = soft_forms(primitives, 0.0, narrowed=narrowed).value_and_gradient(logit, target, 0.0)
    value, gradient = hard_forms(primitives, narrowed=narrowed).value_and_gradient(-logit, gamma, 0.0)
    return (
        primitives.where(positive, target * ce, weighted(primitives, alpha, value)),
        primitives.where(positive, target * slope, -(alpha * gradient)),
    )


def _second_derivative(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    curvature = soft_forms(primitives, 0.0).second_derivative(logit, target, 0.0)
    negative = hard_forms(primitives).second_derivative(-logit, numbers["gamma"], 0.0)
    return primitives.where(target > 0.0, target * curvature, numbers["alpha"] * negative)


def _of_negatives(primitives: Primitives, logit: Number, target: Number, quantity: Number) -> Number:
    # A NaN logit gives NaN, whatever its target.
    return primitives.where((target > 0.0) & (logit == logit), 0.0, quantity)


def _alpha(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    return _of_negatives(primitives, logit, target, hard_forms(primitives).value(-logit, numbers["gamma"], 0.0))


def _gamma(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    derivative = hard_forms(primitives).gamma_derivative(-logit, numbers["gamma"], 0.0)
    return _of_negatives(primitives, logit, target, numbers["alpha"] * derivative)


def _targets(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    # ce - t x = log(1 + e) + (1 - 2t) x for x >= 0, and log(1 + e) + 2t |x| for x < 0.
    where, magnitude = primitives.where, primitives.absolute(logit)
    log_d = primitives.log1p(primitives.exp(-magnitude))
    coefficient = where(logit >= 0.0, 1.0 - 2.0 * target, 2.0 * target)
    derivative = log_d + weighted(primitives, coefficient, magnitude)
    return where((target == 0.0) & (logit == logit), 0.0, derivative)


VARIFOCAL = ElementwiseForm(
    numbers=("alpha", "gamma"),
    value_and_gradient=_value_and_gradient,
    second_derivative=_second_derivative,
    partials={"alpha": _alpha, "gamma": _gamma, "targets": _targets},
)
