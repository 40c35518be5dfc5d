"""Formulas of the papers in Arb: power series whose coefficients are balls that contain the exact numbers.

Nothing is shared with `focal_ref.conformance.family.oracle`: balls instead of floating point, power series instead of
differences. Of the sigmoid only sigma(x) + sigma(-x) = 1 and sigma' = sigma (1 - sigma) are used, so that no precision
is spent on 1 - p; everything else is the printed formula.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flint import arb_series

__all__ = ["ELEMENTWISE", "Arguments", "Undecided", "power", "probability", "sigmoid"]

#: An ``arb`` or an ``arb_series``; python-flint's own types are no NumPy numbers.
Ball = Any
Series = Any

_ONE = arb_series([1])
_ZERO = arb_series([0])


class Undecided(ArithmeticError):
    """A comparison that the balls do not decide."""


class Probability(NamedTuple):
    """Series of a probability, of what it lacks to 1, and of the logarithms of both."""

    p: Series
    q: Series
    log_p: Series
    log_q: Series

    @property
    def mirrored(self) -> Probability:
        """The same of the other class."""
        return Probability(self.q, self.p, self.log_q, self.log_p)


class Arguments(NamedTuple):
    """What a formula is evaluated at: series of the variable, constants for the rest.

    Attributes
    ----------
    first
        The logit; for probabilities their `Probability`.
    target
        Series of the target.
    exact_target
        The target itself, for branches: its series may be one in the target.
    numbers
        Hyper-parameters by name; a class's weight alpha is absent if it is None.
    """

    first: Any
    target: Series
    exact_target: Any
    numbers: Mapping[str, Series]


def sigmoid(argument: Series) -> Probability:
    """Probability of a logit that is linear in the variable of the series."""
    x, slope = argument[0], argument[1]
    if x > 0:
        return sigmoid(-argument).mirrored
    small = x.exp()
    q = 1 / (1 + small)
    p = small * q
    log_q = -small.log1p()
    log_p = x + log_q
    if slope == 0:
        return Probability(arb_series([p]), arb_series([q]), arb_series([log_p]), arb_series([log_q]))
    first = p * q * slope
    second = first * slope / 2
    bend = second * (q - p)
    return Probability(
        arb_series([p, first, bend]),
        arb_series([q, -first, -bend]),
        arb_series([log_p, q * slope, -second]),
        arb_series([log_q, -p * slope, -second]),
    )


def probability(p: Ball, log_p: Ball, q: Ball, log_q: Ball, slope: int) -> Probability:
    """Probability that is a constant (slope 0), the variable itself (1), or 1 minus the variable (-1)."""
    if slope == 0:
        return Probability(arb_series([p]), arb_series([q]), arb_series([log_p]), arb_series([log_q]))
    return Probability(
        arb_series([p, slope]),
        arb_series([q, -slope]),
        arb_series([log_p, slope / p, -1 / (2 * p * p)]),
        arb_series([log_q, -slope / q, -1 / (2 * q * q)]),
    )


def power(logarithm: Series, exponent: Series) -> Series:
    """Power of a positive base by its logarithm; 1 if the exponent is the constant 0."""
    if exponent[0] == 0 and exponent[1] == 0:
        return _ONE
    return (exponent * logarithm).exp()


def _weight(a: Arguments) -> Series:
    if "alpha" not in a.numbers:
        return _ONE
    alpha = a.numbers["alpha"]
    if a.target[1] == 0 and a.exact_target in (0, 1):
        return alpha if a.exact_target == 1 else 1 - alpha
    return alpha * a.target + (1 - alpha) * (1 - a.target)


def _cross_entropy(s: Probability, t: Series) -> Series:
    return -(t * s.log_p + (1 - t) * s.log_q)


def _focal(s: Probability, a: Arguments) -> Series:
    weight = _weight(a)
    if weight[0] == 0 and weight[1] == 0:
        return _ZERO
    if a.target[1] == 0 and a.exact_target in (0, 1):
        s = s if a.exact_target == 1 else s.mirrored
        return weight * power(s.log_q, a.numbers["gamma"]) * -s.log_p
    # 1 - p_t, where p_t = p t + (1 - p) (1 - t).
    missed = s.p * (1 - a.target) + s.q * a.target
    return weight * power(missed.log(), a.numbers["gamma"]) * _cross_entropy(s, a.target)


def _loss(a: Arguments) -> Series:
    return _focal(sigmoid(a.first), a)


def _loss_from_probabilities(a: Arguments) -> Series:
    return _focal(a.first, a)


def _star_loss(a: Arguments) -> Series:
    weight = _weight(a)
    if weight[0] == 0 and weight[1] == 0:
        return _ZERO
    gamma = a.numbers["gamma"]
    x_t = a.first if a.exact_target == 1 else -a.first
    return -weight * sigmoid(gamma * x_t + a.numbers["beta"]).log_p / gamma


def _quality_focal_loss(a: Arguments) -> Series:
    s, t = sigmoid(a.first), a.target
    cross_entropy = _cross_entropy(s, t)
    if a.numbers["beta"][0] == 0 and a.numbers["beta"][1] == 0:
        return cross_entropy
    if t[1] == 0 and a.exact_target in (0, 1):
        return power(s.log_q if a.exact_target == 1 else s.log_p, a.numbers["beta"]) * cross_entropy
    distance = t * s.q - (1 - t) * s.p  # t - p
    if distance[0] < 0:
        distance = -distance
    elif not distance[0] > 0:
        raise Undecided("whether the target is above the probability")
    return power(distance.log(), a.numbers["beta"]) * cross_entropy


def _varifocal_loss(a: Arguments) -> Series:
    s = sigmoid(a.first)
    if a.exact_target > 0:
        return a.target * _cross_entropy(s, a.target)
    return a.numbers["alpha"] * power(s.log_p, a.numbers["gamma"]) * -s.log_q


def _asymmetric_loss(a: Arguments) -> Series:
    s, t, clip = sigmoid(a.first), a.target, a.numbers["clip"]
    positive = power(s.log_q, a.numbers["gamma_positive"]) * -s.log_p
    if clip[0] == 0:
        negative = power(s.log_p, a.numbers["gamma_negative"]) * -s.log_q
    else:
        p_m = s.p - clip
        if p_m[0] > 0:
            negative = power(p_m.log(), a.numbers["gamma_negative"]) * -(s.q + clip).log()
        elif p_m[0] <= 0:
            negative = _ZERO
        else:
            raise Undecided("whether the probability is above the clip")
    return t * positive + (1 - t) * negative


def _heatmap_focal_loss(a: Arguments) -> Series:
    s = sigmoid(a.first)
    if a.exact_target == 1:
        return power(s.log_q, a.numbers["gamma"]) * -s.log_p
    t = a.target
    rest = 1 / (1 - t[0])
    # d/dt log(1 - t) = -1 / (1 - t)
    log_missed = arb_series([(-t[0]).log1p(), -rest]) if t[1] == 1 else arb_series([(-t[0]).log1p()])
    return power(log_missed, a.numbers["beta"]) * power(s.log_p, a.numbers["gamma"]) * -s.log_q


#: Formulas of one element by function.
ELEMENTWISE: Mapping[str, Callable[[Arguments], Series]] = {
    "loss": _loss,
    "loss_from_probabilities": _loss_from_probabilities,
    "star_loss": _star_loss,
    "quality_focal_loss": _quality_focal_loss,
    "varifocal_loss": _varifocal_loss,
    "asymmetric_loss": _asymmetric_loss,
    "heatmap_focal_loss": _heatmap_focal_loss,
}
