"""What a quantity that cancels is measured against: the magnitudes of the terms that it is made of.

Where terms of both signs meet, the result loses its digits relative to them, and an error is counted in ulps of the sum
of their magnitudes. The terms are those of the product and chain rules on the printed formula, in p = sigmoid(x),
q = 1 - p, v = p q, c1 = -log p, c0 = -log q, ce = t c1 + (1 - t) c0 and u = 1 - p_t = p (1 - t) + q t, with

    p' = v,   q' = -v,   v' = v (q - p),   c1' = -q,   c0' = p,   u' = v (1 - 2t),   ce' = p (1 - t) - q t.

Every derivative is replaced by its magnitude, that of ce' by u, and every difference by a sum. Where all terms have one
sign, the scale is the magnitude of the result.

The distances t - p (quality focal loss) and p - clip (asymmetric loss) are not given to a computation: they are
differences of terms with a sum D = u or p + clip. A factor f(d) of a distance adds |f'(d)| D, its condition, to the
magnitude |f(d)|. Closer to zero than 4 * 2**-53 D float64 does not know d nor its sign: there the magnitude at
d = 2**-53 D, over 2**-53, is the scale.

These numbers are yardsticks, no expected results: nothing compares anything with them for equality.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flint import arb, arb_series, ctx

from focal_ref.conformance.family.functions import IGNORE
from focal_ref.conformance.family.softmax_balls import Row

__all__ = ["scales"]

Ball = Any

#: Magnitudes of the Taylor coefficients of a factor, up to the second, each a pair: magnitude and condition.
Terms = Sequence[Any]

_PRECISION = 128
_UNIT = arb(2) ** -53
_ORDERS = {"value": 0, "gradient": 1, "second_derivative": 2}


def scales(function: str, names: Sequence[str], inputs: Sequence[Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Scales of quantities of one element or row.

    Parameters
    ----------
    function, inputs, parameters
        As in `focal_ref.conformance.family.oracle.quantity`.
    names : sequence of str
        Names of quantities.

    Returns
    -------
    dict
        By name an ``arb``, or a list or matrix of them; None for all if an input is not finite, if a probability is 0
        or 1, and for rows with a single class or the label to ignore.
    """
    first, target = inputs
    row = function == "softmax_loss"
    logits = first if row else [first]
    edge = first in (0, 1) if function == "loss_from_probabilities" else row and (len(first) == 1 or target == IGNORE)
    if edge or not all(map(math.isfinite, logits)):
        return dict.fromkeys(names)
    saved = ctx.prec, ctx.cap
    try:
        # exp of a large logit takes the bits of its integer part.
        ctx.prec, ctx.cap = _PRECISION + max(0, *(math.frexp(float(number))[1] for number in logits)), 2
        if row:
            return _row_scales(names, first, target, parameters)
        element = _Element(function, first, target, parameters)
        # A value alone needs no series.
        first_order = "first" if {"gradient", "second_derivative"} & set(names) else "none"
        variables = {name: first_order if name in _ORDERS else name for name in names}
        terms = {variable: _FORMULAS[function](element, variable) for variable in set(variables.values())}
        return {name: element.scale(terms[variables[name]], _ORDERS.get(name, 1)) for name in names}
    finally:
        ctx.prec, ctx.cap = saved


class _Element:
    """The magnitudes of one element."""

    def __init__(self, function: str, first: Any, target: Any, parameters: Mapping[str, Any]) -> None:
        self.function, self.target, self.parameters = function, target, parameters
        self.t = arb(target)
        self.by_probability = function == "loss_from_probabilities"
        if self.by_probability:
            self.p, self.q = arb(first), 1 - arb(first)
            self.c1 = -self.p.log() if first < 0.5 else -(-self.q).log1p()
            self.c0 = -(-self.p).log1p()
        else:
            self.x = arb(first)
            small = (-abs(self.x)).exp()
            large = 1 / (1 + small)
            near, far = small.log1p(), abs(self.x) + small.log1p()
            self.p, self.q = (large, small * large) if first >= 0 else (small * large, large)
            self.c1, self.c0 = (near, far) if first >= 0 else (far, near)
        self.v = self.p * self.q
        self.bend = abs(self.q - self.p)
        self.u = self.p * (1 - self.t) + self.q * self.t
        self.unknown = False  # whether there is a distance whose sign float64 does not know

    def scale(self, terms: Terms, order: int) -> Ball:
        """Scale of the derivative of that order."""
        if order >= len(terms):
            return arb(0)
        magnitude, condition = (terms[order][i] * (2 if order == 2 else 1) for i in (0, 1))
        return magnitude / _UNIT if self.unknown else magnitude + condition

    def moving(self, variable: str, name: str) -> Terms:
        """A parameter: a constant, or the variable."""
        return _terms(arb(self.parameters[name]), arb(1) if variable == name else arb(0))

    def probabilities(self, variable: str) -> tuple[Terms, Terms]:
        """The probability, and what it lacks to 1."""
        if variable != "first":
            return _terms(self.p), _terms(self.q)
        if self.by_probability:
            return _terms(self.p, arb(1)), _terms(self.q, arb(1))
        return tuple(_terms(number, self.v, self.v * self.bend / 2) for number in (self.p, self.q))  # type: ignore[return-value]

    def logarithms(self, variable: str) -> tuple[Terms, Terms]:
        """-log p and -log q."""
        if variable != "first":
            return _terms(self.c1), _terms(self.c0)
        if self.by_probability:
            p, q = self.p, self.q
            return _terms(self.c1, 1 / p, 1 / (2 * p * p)), _terms(self.c0, 1 / q, 1 / (2 * q * q))
        return _terms(self.c1, self.q, self.v / 2), _terms(self.c0, self.p, self.v / 2)

    def cross_entropy(self, variable: str) -> Terms:
        positive, negative = self.logarithms(variable)
        t, rest = _terms(self.t), _terms(1 - self.t)
        if variable == "targets":
            difference = self.c1 + self.c0 if self.by_probability else abs(self.x)
            return _terms(self.t * self.c1 + (1 - self.t) * self.c0, difference)
        return _sum(_product(t, positive), _product(rest, negative))

    def weight(self, variable: str) -> Terms:
        """alpha_t."""
        if self.parameters["alpha"] is None:
            return _terms(arb(1))
        alpha = arb(self.parameters["alpha"])
        slopes = {"alpha": abs(2 * self.t - 1), "targets": abs(2 * alpha - 1)}
        return _terms(alpha * self.t + (1 - alpha) * (1 - self.t), slopes.get(variable, arb(0)))

    def missed(self, variable: str) -> Terms:
        """1 - p_t."""
        if variable == "targets":
            return _terms(self.u, self.bend)
        slope = abs(1 - 2 * self.t)
        return [_terms(self.u)[0], *(slope * term for term in self.probabilities(variable)[0][1:])]

    def power(self, base: Terms, logarithm: Ball, variable: str, name: str) -> Terms:
        """Power of a base, whose logarithm is given, with the parameter of that name."""
        exponent = arb(self.parameters[name])
        results = [_power(base[0], exponent)]
        if variable == name:
            return [results[0], results[0] * arb_series([abs(logarithm), base[0][1] / base[0][0]])]
        if len(base) > 1:
            slope = exponent * _power(base[0], exponent - 1)
            results.append(slope * base[1])
            bend = exponent * abs(exponent - 1) / 2 * _power(base[0], exponent - 2)
            results.append(bend * base[1] * base[1] + (slope * base[2] if len(base) > 2 else 0))
        return results

    def distance(self, number: Ball, total: Ball, slopes: Sequence[Ball]) -> Terms:
        """A distance that is a difference of terms with the given sum."""
        size, known = abs(number), _UNIT * total
        if not size > 4 * known:
            self.unknown = True
            size = size if size > known else known
        return [arb_series([size, total]), *(arb_series([slope]) for slope in slopes)]


def _terms(*coefficients: Ball) -> Terms:
    return [arb_series([number]) for number in coefficients]


def _sum(first: Terms, second: Terms) -> Terms:
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    return [number + shorter[i] if i < len(shorter) else number for i, number in enumerate(longer)]


def _product(first: Terms, second: Terms, *more: Terms) -> Terms:
    result = []
    for order in range(min(len(first) + len(second) - 1, 3)):
        pairs = [first[i] * second[order - i] for i in range(order + 1) if i < len(first) and order - i < len(second)]
        result.append(sum(pairs[1:], pairs[0]))
    return _product(result, *more) if more else result


def _power(base: Any, exponent: Ball) -> Any:
    """Power of a magnitude with its condition."""
    if exponent == 0:
        return arb_series([1])
    magnitude = (exponent * base[0].log()).exp()
    return arb_series([magnitude, abs(exponent) * magnitude / base[0] * base[1]])


def _focal(a: _Element, variable: str) -> Terms:
    logarithm = a.u.log() if a.u < 0.5 else (-(a.p * a.t + a.q * (1 - a.t))).log1p()
    modulating = a.power(a.missed(variable), logarithm, variable, "gamma")
    return _product(a.weight(variable), modulating, a.cross_entropy(variable))


def _star_loss(a: _Element, variable: str) -> Terms:
    gamma, beta = arb(a.parameters["gamma"]), arb(a.parameters["beta"])
    margin = gamma * (a.x if a.target == 1 else -a.x) + beta
    small = (-abs(margin)).exp()
    softplus = small.log1p() + (-margin if margin < 0 else 0)
    missed = (1 if margin < 0 else small) / (1 + small)
    slope = {"first": gamma, "gamma": abs(a.x), "beta": arb(1)}.get(variable, arb(0))
    rate = _terms(1 / gamma, 1 / gamma**2) if variable == "gamma" else _terms(1 / gamma)
    bend = small / (1 + small) ** 2 / 2
    return _product(a.weight(variable), _terms(softplus, missed * slope, bend * slope**2), rate)


def _quality_focal_loss(a: _Element, variable: str) -> Terms:
    slopes = {"first": (a.v, a.v * a.bend / 2), "targets": (arb(1),)}.get(variable, ())
    if a.target in (0, 1):
        base = _terms(a.q if a.target == 1 else a.p, *slopes)
        logarithm = a.c0 if a.target == 1 else a.c1
    else:
        base = a.distance(a.p - a.t, a.u, slopes)
        logarithm = base[0][0].log()
    return _product(a.power(base, logarithm, variable, "beta"), a.cross_entropy(variable))


def _varifocal_loss(a: _Element, variable: str) -> Terms:
    if a.target > 0:
        t = _terms(a.t, arb(1)) if variable == "targets" else _terms(a.t)
        return _product(t, a.cross_entropy(variable))
    modulating = a.power(a.probabilities(variable)[0], a.c1, variable, "gamma")
    return _product(a.moving(variable, "alpha"), modulating, a.logarithms(variable)[1])


def _asymmetric_loss(a: _Element, variable: str) -> Terms:
    moves = [arb(1)] if variable == "targets" else []
    p, q = a.probabilities(variable)
    c1, c0 = a.logarithms(variable)
    positive = _product(_terms(a.t, *moves), a.power(q, a.c0, variable, "gamma_positive"), c1)
    clip = arb(a.parameters["clip"])
    if clip == 0:
        base, log_base, logarithm = p, a.c1, c0
    else:
        excess, total = a.p - clip, a.p + clip
        if not excess > -4 * _UNIT * total:
            return positive
        base = a.distance(excess, total, [term[0] for term in p[1:]]) if a.target != 1 else [arb_series([abs(excess)])]
        # -log(1 - p_m), and its derivative 1 / (1 - p_m) = 1 / (q + clip).
        rate = 1 / (a.q + clip)
        size, condition = base[0][0], base[0][1]
        log_base = size.log()
        logarithm = [arb_series([-(-size).log1p(), rate * condition])]
        if len(base) > 1:
            slope = arb_series([rate, rate**2 * condition])
            logarithm += [slope * base[1], slope * base[2] + slope * slope * base[1] * base[1] / 2]
    modulating = a.power(base, log_base, variable, "gamma_negative")
    return _sum(positive, _product(_terms(1 - a.t, *moves), modulating, logarithm))


def _heatmap_focal_loss(a: _Element, variable: str) -> Terms:
    p, q = a.probabilities(variable)
    c1, c0 = a.logarithms(variable)
    if a.target == 1:
        return _product(a.power(q, a.c0, variable, "gamma"), c1)
    rest = _terms(1 - a.t, arb(1)) if variable == "targets" else _terms(1 - a.t)
    return _product(a.power(rest, (-a.t).log1p(), variable, "beta"), a.power(p, a.c1, variable, "gamma"), c0)


_FORMULAS: Mapping[str, Callable[[_Element, str], Terms]] = {
    "loss": _focal,
    "loss_from_probabilities": _focal,
    "star_loss": _star_loss,
    "quality_focal_loss": _quality_focal_loss,
    "varifocal_loss": _varifocal_loss,
    "asymmetric_loss": _asymmetric_loss,
    "heatmap_focal_loss": _heatmap_focal_loss,
}


def _row_scales(
    names: Sequence[str], logits: Sequence[Any], target: Any, parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Sums over the classes of the magnitudes of their terms.

    The loss of class i is a function f of s = z_i - log sum_{k != i} exp(z_k), with f' = -w (gamma p c + q) and f'' of
    the binary loss. With r_k = exp(z_k) / sum_{k != i}, the derivatives of s are 1 in z_i and -r_k in z_k, and
    d2s / dz_j dz_k = r_j r_k - r_j [j = k] for j, k != i.
    """
    classes = range(len(logits))
    targets = [float(i == target) for i in classes] if isinstance(target, int) else target
    weights = [1.0] * len(logits) if parameters["alpha"] is None else parameters["alpha"]
    gamma = arb(parameters["gamma"])
    row = Row([arb(z) for z in logits], [arb(t) for t in targets], [arb(w) for w in weights], gamma)
    gradient = [arb(0) for _ in classes]
    bends = [[arb(0) for _ in classes] for _ in classes]
    for i in row.active:
        factor = row.targets[i] * row.weights[i]
        p, q, cross_entropy = row.exponentials[i] / row.total, row.rests[i] / row.total, -row.log_p[i]
        w = (gamma * row.log_missed[i]).exp()
        slope = factor * w * (gamma * p * cross_entropy + q)
        bend = factor * w * p * (gamma * cross_entropy * (gamma * p + q) + (2 * gamma + 1) * q)
        shares = [arb(1) if k == i else row.exponentials[k] / row.rests[i] for k in classes]
        for j in classes:
            gradient[j] += slope * shares[j]
            for k in classes if "second_derivative" in names else ():
                mixed = shares[j] * shares[k] + (shares[j] if j == k else 0) if i not in (j, k) else 0
                bends[j][k] += bend * shares[j] * shares[k] + slope * mixed
    found = {"gradient": gradient, "second_derivative": bends}
    return {name: found.get(name) for name in names}
