"""The asymmetric loss, which gives negatives an exponent of their own and shifts their probability down.

Ridnik et al., Asymmetric Loss for Multi-Label Classification, ICCV 2021, arXiv:2009.14119, equations 4 to 7. With
``p = sigmoid(x)`` and ``q = 1 - p``, the value is

    V = t V+ + (1 - t) V-
    V+ = q^gamma_positive (-log p)                  the focal loss of a positive
    V- = d^gamma_negative L,                        d = max(p - clip, 0),  L = -log(1 - d)

Where ``p <= clip``, V- and its derivatives are 0. Elsewhere ``1 - d = q + clip`` and, with gamma for gamma_negative,
``R = p q / d`` and ``g = q / (q + clip)``,

    d V- / dx           d^gamma (gamma R L + p g)
    d^2 V- / dx^2       d^gamma {gamma R L [(gamma - 1) R + q - p] + 2 gamma R p g + p g (q - p clip / (q + clip))}
    d V- / d gamma      V- log(d)
    d V / dt            V+ - V-

None of these divides by a power of d, so that a gamma below 1 meets no 0 * inf. What cancels in d, where p is close to
clip, is the distance of `quality`. With a clip of 0, V- is the focal loss of a negative. There is no derivative in
clip.
"""

from typing import NamedTuple

from focal_ref._formulas.elementwise import ElementwiseForm, Numbers
from focal_ref._formulas.focal import hard_forms
from focal_ref._formulas.primitives import Number, Primitives
from focal_ref._formulas.quality import TAIL, Distance, distance, log_distance, times_power
from focal_ref._formulas.varifocal import weighted


class _Shifted(NamedTuple):
    """What value and derivatives of V- share for a positive clip."""

    distance: Distance
    clip: Number
    left_out: Number
    p: Number
    q: Number
    rest: Number
    loss: Number


def _shifted(primitives: Primitives, logit: Number, numbers: Numbers) -> _Shifted:
    where = primitives.where
    # Where clip is 0 the focal loss is taken; any other number keeps what is computed here finite.
    clip = where(numbers["clip"] == 0.0, 0.5, numbers["clip"])
    d = distance(primitives, logit, clip)
    p = where(d.positive, 1.0, d.e) * d.reciprocal
    q = where(d.positive, d.e, 1.0) * d.reciprocal
    rest = q + clip
    # L is log1p of d / (1 - d), and the logarithm of a small 1 - d, each as accurate as its argument.
    small = d.size <= 0.5
    near_zero = primitives.log1p(where(small, d.size / rest, 0.0))
    loss = where(small, near_zero, -primitives.log(where(small, 1.0, rest)))
    return _Shifted(d, clip, d.equal | (d.beyond != d.positive), p, q, rest, loss)


def _tail(primitives: Primitives, x: _Shifted) -> tuple[Number, Number, Number]:
    """R and g without a factor of sqrt(e), which a large logit gives both, and that factor."""
    # Near x = 700, e is subnormal and meets L and 1 / clip: half of it is multiplied last there.
    d, where = x.distance, primitives.where
    in_tail = d.positive & (d.magnitude > TAIL) & (d.other > d.e)
    root = primitives.exp(where(in_tail, -0.5 * d.finite, 0.0))
    return (
        where(in_tail, root * d.reciprocal / d.base, d.ratio),
        where(in_tail, root * d.reciprocal, x.q) / x.rest,
        root,
    )


def _negative_value_and_gradient(
    primitives: Primitives, logit: Number, numbers: Numbers, *, narrowed: bool
) -> tuple[Number, Number]:
    where, gamma = primitives.where, numbers["gamma_negative"]
    x = _shifted(primitives, logit, numbers)
    modulated = times_power(primitives, x.distance, gamma)
    ratio_part, share_part, root = _tail(primitives, x)
    slope = modulated(gamma * (ratio_part * x.loss) + x.p * share_part) * root
    value, gradient = hard_forms(primitives, narrowed=narrowed).value_and_gradient(-logit, gamma, 0.0)
    unclipped = numbers["clip"] == 0.0
    return (
        where(unclipped, value, where(x.left_out, 0.0, modulated(x.loss))),
        where(unclipped, -gradient, where(x.left_out, 0.0, slope)),
    )


def _negative_second(primitives: Primitives, logit: Number, numbers: Numbers) -> Number:
    where, gamma = primitives.where, numbers["gamma_negative"]
    x = _shifted(primitives, logit, numbers)
    d = x.distance
    ratio_part, share_part, root = _tail(primitives, x)
    tilt = (1.0 - d.e) * d.reciprocal
    tilt = where(d.positive, -tilt, tilt)  # q - p
    bend = x.loss * ((gamma - 1.0) * d.ratio + tilt) + 2.0 * x.p * (x.q / x.rest)
    total = gamma * ratio_part * bend + x.p * share_part * (x.q - x.p * (x.clip / x.rest))
    second = times_power(primitives, d, gamma)(total) * root
    unshifted = hard_forms(primitives).second_derivative(-logit, gamma, 0.0)
    return where(numbers["clip"] == 0.0, unshifted, where(x.left_out, 0.0, second))


def _negative_gamma(primitives: Primitives, logit: Number, numbers: Numbers) -> Number:
    where, gamma = primitives.where, numbers["gamma_negative"]
    x = _shifted(primitives, logit, numbers)
    derivative = times_power(primitives, x.distance, gamma)(x.loss * log_distance(primitives, x.distance))
    unshifted = hard_forms(primitives).gamma_derivative(-logit, gamma, 0.0)
    return where(numbers["clip"] == 0.0, unshifted, where(x.left_out, 0.0, derivative))


def _value_and_gradient(
    primitives: Primitives, logit: Number, target: Number, numbers: Numbers, *, narrowed: bool
) -> tuple[Number, Number]:
    forms = hard_forms(primitives, narrowed=narrowed)
    positive, positive_slope = forms.value_and_gradient(logit, numbers["gamma_positive"], 0.0)
    negative, negative_slope = _negative_value_and_gradient(primitives, logit, numbers, narrowed=narrowed)
    value = weighted(primitives, target, positive) + weighted(primitives, 1.0 - target, negative)
    return value, target * positive_slope + (1.0 - target) * negative_slope


def _second_derivative(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    positive = hard_forms(primitives).second_derivative(logit, numbers["gamma_positive"], 0.0)
    return target * positive + (1.0 - target) * _negative_second(primitives, logit, numbers)


def _gamma_positive(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    return target * hard_forms(primitives).gamma_derivative(logit, numbers["gamma_positive"], 0.0)


def _gamma_negative(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    return (1.0 - target) * _negative_gamma(primitives, logit, numbers)


def _targets(primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
    positive = hard_forms(primitives).value(logit, numbers["gamma_positive"], 0.0)
    negative, _ = _negative_value_and_gradient(primitives, logit, numbers, narrowed=False)
    return positive - negative


ASYMMETRIC = ElementwiseForm(
    numbers=("gamma_positive", "gamma_negative", "clip"),
    value_and_gradient=_value_and_gradient,
    second_derivative=_second_derivative,
    partials={"gamma_positive": _gamma_positive, "gamma_negative": _gamma_negative, "targets": _targets},
)
