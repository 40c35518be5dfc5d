"""Formulas of the papers as printed, in arbitrary precision, with derivatives taken numerically.

As in `focal_ref.conformance.oracle`: nothing is rearranged to be stable, what a formula cancels is bought back with
precision, every result is computed with growing precision until 60 digits agree, and no closed form of a derivative
appears. Limits, too, are read off numbers: of three far points, or of three points near an edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache
from typing import Any

from mpmath import mp

from focal_ref.conformance.family import softmax_oracle
from focal_ref.conformance.family.functions import FUNCTIONS, Real, check_arguments
from focal_ref.conformance.family.numeric import (
    GUARD_BITS,
    RESULT_BITS,
    Number,
    bits_of,
    bits_of_exp,
    decays,
    exact,
    limit_of,
    until_stable,
)
from focal_ref.conformance.formats import Format, round_to_format

__all__ = ["LIMIT_MARGIN", "quantity", "round_all", "rounded"]

#: Beyond this margin a quantity is its asymptote; see `_asymptote`.
LIMIT_MARGIN = 3000

Numbers = Mapping[str, Any]


def quantity(function: str, name: str, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> Any:
    """One quantity of one element, or of one row.

    Parameters
    ----------
    function : str
        One of `focal_ref.conformance.family.functions.FUNCTIONS`.
    name : str
        One of its quantities.
    inputs : sequence
        A logit (or probability) and a target; for ``softmax_loss`` a row of logits and a label or a row of targets.
        Infinite logits give the limits and NaN gives NaN.
    parameters : mapping
        All hyper-parameters by name; None for an absent alpha, a sequence for the class weights of a row.

    Returns
    -------
    mpf, or list
        For a row the gradient and the derivatives in alpha and targets have an entry a class, and the second derivative
        is the matrix of the row. At least 60 significant digits are right. A finite logit beyond `LIMIT_MARGIN` may
        give +-2**-20000 in place of a number that is smaller still. A zero stands for itself and for what is less than
        2**-1400.

    Notes
    -----
    At the kink ``p == t`` of the quality focal loss with beta > 0 the gradient and the derivative in the target are 0
    by definition, and the second derivative is the limit from both sides. Where ``p == clip`` the asymmetric loss of a
    negative is that of the flat side.

    Examples
    --------
    >>> from mpmath import mp
    >>> number = quantity("star_loss", "gradient", (0.0, 1), {"alpha": None, "gamma": 2.0, "beta": 0.0})
    >>> mp.nstr(number, 15)
    '-0.5'
    """
    check_arguments(function, name, inputs, parameters)
    if function == "softmax_loss":
        return softmax_oracle.quantity(name, inputs[0], inputs[1], parameters["alpha"], parameters["gamma"])
    first, target = inputs
    if math.isnan(first):
        return mp.nan
    variable, order = _variable(function, name)
    numbers: dict[str, Any] = {key: value if value is None else Fraction(value) for key, value in parameters.items()}
    numbers["targets"] = Fraction(target)
    if name not in ("alpha", "targets") and _is_weightless(function, numbers):
        # What has no weight contributes nothing, not even 0 * infinity.
        return mp.zero
    if function == "loss_from_probabilities":
        if first in (0, 1):
            return _at_the_edge(function, variable, order, first == 0, tuple(numbers.items()))
        numbers["probabilities"] = Fraction(first)
        return _derivative(function, numbers, variable, order)
    if not -LIMIT_MARGIN <= first <= LIMIT_MARGIN:
        return _beyond_the_margin(function, variable, order, first, tuple(numbers.items()))
    numbers["logits"] = Fraction(first)
    if function == "quality_focal_loss" and first == 0 and target == 0.5 and (numbers["beta"] > 0 or name == "beta"):
        return _at_the_kink(variable, order, numbers["beta"])
    return _derivative(function, numbers, variable, order)


def rounded(
    function: str, name: str, inputs: Sequence[Any], parameters: Mapping[str, Any], format: Format
) -> int | list[Any]:
    """Bits of a quantity, correctly rounded to a format; nested lists where `quantity` gives them.

    An exact zero is positive. A number that is closer to a boundary of rounding than its 60 digits tell may fall on the
    wrong side; `focal_ref.conformance.family.certify` decides those.
    """
    return round_all(quantity(function, name, inputs, parameters), format)


def round_all(numbers: Any, format: Format) -> int | list[Any]:
    """Bits of a result of `quantity`."""
    if isinstance(numbers, list):
        return [round_all(number, format) for number in numbers]
    return round_to_format(numbers, format)


def _variable(function: str, name: str) -> tuple[str, int]:
    """Variable and order of a derivative."""
    order = {"value": 0, "second_derivative": 2}.get(name, 1)
    by_input = name in ("value", "gradient", "second_derivative")
    return (FUNCTIONS[function].inputs[0] if by_input else name), order


def _weight(numbers: Numbers) -> Any:
    """alpha_t, exactly; in whatever numbers are given."""
    alpha, t = numbers.get("alpha"), numbers["targets"]
    return 1 if alpha is None else alpha * t + (1 - alpha) * (1 - t)


def _is_weightless(function: str, numbers: Numbers) -> bool:
    if function == "varifocal_loss":
        return bool(numbers["alpha"] == numbers["targets"] == 0)
    return bool(_weight(numbers) == 0)


# The formulas. `n` has the numbers of one evaluation; `at` those around which derivatives are taken, for the branches.


def _focal(p: Number, n: Numbers) -> Number:
    t = n["targets"]
    p_t = p * t + (1 - p) * (1 - t)
    cross_entropy = -t * mp.log(p) - (1 - t) * mp.log(1 - p)
    return _weight(n) * _power(1 - p_t, n["gamma"]) * cross_entropy


def _loss(n: Numbers, at: Numbers) -> Number:
    return _focal(_sigmoid(n["logits"]), n)


def _loss_from_probabilities(n: Numbers, at: Numbers) -> Number:
    return _focal(n["probabilities"], n)


def _star_loss(n: Numbers, at: Numbers) -> Number:
    y = 1 if at["targets"] == 1 else -1
    p_t_star = _sigmoid(n["gamma"] * y * n["logits"] + n["beta"])
    return -_weight(n) * mp.log(p_t_star) / n["gamma"]


def _quality_focal_loss(n: Numbers, at: Numbers) -> Number:
    sigma, y = _sigmoid(n["logits"]), n["targets"]
    return -_power(abs(y - sigma), n["beta"]) * ((1 - y) * mp.log(1 - sigma) + y * mp.log(sigma))


def _varifocal_loss(n: Numbers, at: Numbers) -> Number:
    p, q = _sigmoid(n["logits"]), n["targets"]
    if at["targets"] > 0:
        return -q * (q * mp.log(p) + (1 - q) * mp.log(1 - p))
    return -n["alpha"] * _power(p, n["gamma"]) * mp.log(1 - p)


def _asymmetric_loss(n: Numbers, at: Numbers) -> Number:
    p, y = _sigmoid(n["logits"]), n["targets"]
    positive = _power(1 - p, n["gamma_positive"]) * mp.log(p)
    flat = at["logits"] == 0 and at["clip"] == Fraction(1, 2)
    p_m = mp.zero if flat else max(p - n["clip"], mp.zero)
    # 0^gamma log(1) is 0 for every gamma, 0 among them.
    negative = _power(p_m, n["gamma_negative"]) * mp.log(1 - p_m) if p_m > 0 else mp.zero
    return -y * positive - (1 - y) * negative


def _heatmap_focal_loss(n: Numbers, at: Numbers) -> Number:
    p, y = _sigmoid(n["logits"]), n["targets"]
    if at["targets"] == 1:
        return -_power(1 - p, n["gamma"]) * mp.log(p)
    return -_power(1 - y, n["beta"]) * _power(p, n["gamma"]) * mp.log(1 - p)


_FORMULAS: Mapping[str, Callable[[Numbers, Numbers], Number]] = {
    "loss": _loss,
    "loss_from_probabilities": _loss_from_probabilities,
    "star_loss": _star_loss,
    "quality_focal_loss": _quality_focal_loss,
    "varifocal_loss": _varifocal_loss,
    "asymmetric_loss": _asymmetric_loss,
    "heatmap_focal_loss": _heatmap_focal_loss,
}


def _sigmoid(x: Number) -> Number:
    return 1 / (1 + mp.exp(-x))


def _power(base: Number, exponent: Number) -> Number:
    return mp.one if exponent == 0 else mp.power(base, exponent)


def _derivative(function: str, at: Numbers, variable: str, order: int) -> Number:
    """Derivative of a formula where it is smooth."""
    formula = _FORMULAS[function]
    lost = _lost_bits(function, at)

    def along(moved: Number | None) -> Number:
        with mp.workprec(mp.prec + lost):
            numbers = {key: number if number is None else exact(number) for key, number in at.items()}
            if moved is not None:
                numbers[variable] = moved
            return formula(numbers, at)

    precision = RESULT_BITS + GUARD_BITS
    if order == 0:
        return until_stable(lambda: along(None), precision)
    # The step of a difference must be far below the distance to the next singularity of the formula, which is a pole of
    # the logarithms, and its square below the smallest derivative over the value.
    return until_stable(lambda: mp.diff(along, exact(at[variable]), order), precision + lost)


def _lost_bits(function: str, at: Numbers) -> int:
    """Bits that the formula as printed cancels, nearly."""
    lost = GUARD_BITS + sum(bits_of(abs(number)) for number in at.values() if number is not None)
    if function == "loss_from_probabilities":
        p = at["probabilities"]
        lost += bits_of(1 / min(p, 1 - p))
    elif function == "star_loss":
        lost += bits_of_exp(at["gamma"] * abs(at["logits"]) + abs(at["beta"]))
    else:
        lost += bits_of_exp(at["logits"])
    return lost


@cache
def _asymptote(function: str, variable: str, order: int, positive: bool, numbers: Any) -> tuple[Number, Number, int]:
    """Constant, slope and sign of a quantity for |x| beyond the margin.

    There p is 0 or 1 up to exp(-|x|), so that every quantity is a + b x up to terms of the size of exp(-c |x|), where c
    is 1 or an exponent. With c >= 1/2 three points at |x| >= 512 show the line to 2**-250; if they show no line, that
    is an error.
    """
    at = dict(numbers)
    t = at["targets"]
    # How far it is to where a target close to 0 or 1 outweighs p.
    margin = 512 + (bits_of(1 / min(t, 1 - t)) if 0 < t < 1 else 0)
    if function == "star_loss":
        margin = math.ceil((margin + abs(at["beta"])) / min(at["gamma"], 1))
    points = [margin * factor * (1 if positive else -1) for factor in (1, 2, 3)]
    first, second, third = (_derivative(function, {**at, "logits": Fraction(x)}, variable, order) for x in points)
    with mp.workprec(2 * RESULT_BITS):
        if decays((first, second, third)):
            return mp.zero, mp.zero, int(mp.sign(third))
        size = max(abs(first), abs(third))
        bend = third - 2 * second + first
        if abs(bend) > mp.ldexp(size, -250):
            raise ArithmeticError(f"{function}: {variable} at {numbers} is no line beyond {points[0]}")
        rise = third - second
        constant = first - rise
        small = mp.ldexp(size, -200)
        return (
            mp.zero if abs(constant) <= small else constant,
            mp.zero if abs(rise) <= small else rise / points[0],
            int(mp.sign(third)),
        )


def _beyond_the_margin(function: str, variable: str, order: int, x: Real, numbers: Any) -> Number:
    constant, slope, sign = _asymptote(function, variable, order, x > 0, numbers)
    if constant == 0 and slope == 0:
        return mp.zero if math.isinf(x) else mp.ldexp(sign, -20000)
    if math.isinf(x):
        if slope == 0:
            return constant
        return mp.inf if (slope > 0) == (x > 0) else mp.ninf
    with mp.workprec(1300):
        return constant + slope * exact(x)


@cache
def _at_the_edge(function: str, variable: str, order: int, zero: bool, numbers: Any) -> Number:
    """Limit for p towards 0 or 1."""
    distances = [Fraction(1, 2**exponent) for exponent in (1000, 2000, 4000)]
    points = [distance if zero else 1 - distance for distance in distances]
    at = dict(numbers)
    return limit_of([_derivative(function, {**at, "probabilities": p}, variable, order) for p in points])


@cache
def _at_the_kink(variable: str, order: int, beta: Fraction) -> Number:
    """The quality focal loss at p == t == 1/2, where |t - p| is not differentiable."""
    if order == 1 and variable != "beta":
        return mp.zero
    at = {"targets": Fraction(1, 2), "beta": beta}
    sides = []
    for sign in (-1, 1):
        points = [Fraction(sign, 2**exponent) for exponent in (300, 600, 1200)]
        numbers = [_derivative("quality_focal_loss", {**at, "logits": point}, variable, order) for point in points]
        sides.append(limit_of(numbers))
    if abs(sides[0] - sides[1]) > mp.ldexp(abs(sides[0]), -200) and sides[0] != sides[1]:
        raise ArithmeticError(f"the limits from both sides differ: {sides}")
    return sides[1]
