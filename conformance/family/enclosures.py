"""Balls around the quantities of elements and rows: tight ones, by growing precision."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from flint import arb, arb_series, ctx, fmpq

from focal_ref.conformance.family.balls import ELEMENTWISE, Arguments, Undecided, probability
from focal_ref.conformance.family.functions import IGNORE
from focal_ref.conformance.family.softmax_balls import Row

__all__ = ["ACCURATE_BITS", "LAST_PRECISION", "enclosures", "flattened"]

Ball = Any

_ORDERS = {"value": 0, "gradient": 1, "second_derivative": 2}

_FIRST_PRECISION = 160
LAST_PRECISION = 40_000

#: Bits of a ball that count as the number itself: more than two float64 hold.
ACCURATE_BITS = 116

#: What takes the place of infinity, see `_infinity`, and what is an infinite or a vanishing quantity there.
_INFINITY_EXPONENT = 3000
_INFINITE = arb(2) ** 2000
_NOTHING = arb(2) ** -2000

#: What is smaller is zero in every format, and no part of an ulp.
_ZERO = arb(2) ** -1400


def enclosures(
    function: str, names: Sequence[str], inputs: Sequence[Any], parameters: Mapping[str, Any], accurate: int
) -> dict[str, Any]:
    """Balls around quantities of one element or row, with so many accurate bits, or around zero.

    Parameters
    ----------
    function, inputs, parameters
        As in `focal_ref.conformance.family.oracle.quantity`.
    names : sequence of str
        Names of quantities.
    accurate : int
        Bits of relative accuracy. A ball within 2**-1400 of zero is accurate enough.

    Returns
    -------
    dict
        By name an ``arb``, or a list or matrix of them; floats for infinite limits, exact zeros and NaN.

    Raises
    ------
    ArithmeticError
        If no precision is enough.
    """
    infinite = any(map(math.isinf, flattened(inputs[0])))
    edge = infinite or (function == "loss_from_probabilities" and inputs[0] in (0, 1))
    sizes = [math.frexp(float(number))[1] for number in flattened(inputs[0]) if math.isfinite(number)]
    infinity = _infinity(inputs[1])
    precision = _FIRST_PRECISION + accurate - ACCURATE_BITS + max(infinity if edge else 0, *sizes, 0)
    left, found = list(names), {}
    saved = ctx.prec, ctx.cap
    try:
        while left:
            if precision > LAST_PRECISION:
                raise ArithmeticError(
                    f"{function} at {inputs}, {dict(parameters)}: {', '.join(left)} can't be enclosed"
                )
            ctx.prec = precision
            try:
                balls = _balls(function, left, inputs, parameters, infinity)
            except Undecided:
                balls = {}
            for name, ball in balls.items():
                if all(is_accurate(number, accurate) for number in flattened(ball)):
                    found[name] = limits(ball) if edge else ball
                    left.remove(name)
            precision *= 2
    finally:
        ctx.prec, ctx.cap = saved
    return found


def _infinity(target: Any) -> int:
    """Exponent of the logit 2**exponent that stands for infinity; for the probability 0 stands exp(-2**exponent).

    Quantities are there, up to relative errors far below any ulp, their limits, or are beyond every format where the
    limit is infinite. The latter may have powers of a tiny target as factors.
    """
    shares = [float(share) for share in flattened(target) if share > 0]
    return _INFINITY_EXPONENT - 8 * min([0, *(math.frexp(share)[1] for share in shares)])


def _balls(
    function: str, names: Sequence[str], inputs: Sequence[Any], parameters: Mapping[str, Any], infinity: int
) -> dict[str, Any]:
    """Balls in the current precision."""
    if function == "softmax_loss":
        return _row_balls(names, inputs, parameters, infinity)
    first, target = inputs
    if math.isnan(first):
        return dict.fromkeys(names, math.nan)
    if function == "quality_focal_loss" and first == 0 and target == 0.5:
        kinks = {name for name in names if parameters["beta"] > 0 or name == "beta"}
        smooth = [name for name in names if name not in kinks]
        found = {name: _at_the_kink(name, Fraction(parameters["beta"])) for name in kinks}
        return {**found, **_smooth_balls(function, smooth, first, target, parameters, infinity)}
    return _smooth_balls(function, names, first, target, parameters, infinity)


def _smooth_balls(
    function: str, names: Sequence[str], first: Any, target: Any, parameters: Mapping[str, Any], infinity: int
) -> dict[str, Any]:
    formula = ELEMENTWISE[function]
    # A series is cut to the cap under which it was made.
    ctx.cap = 3
    constants = {key: arb_series([_ball(number)]) for key, number in parameters.items() if number is not None}
    t = arb_series([_ball(target)])
    results: dict[str, Any] = {}
    orders = [_ORDERS[name] for name in names if name in _ORDERS]
    if orders:
        ctx.cap = max(orders) + 1
        series = formula(Arguments(_first(function, first, 1 if max(orders) else 0, infinity), t, target, constants))
        # Coefficient n of the Taylor series is the n-th derivative over n!.
        results = {
            name: _coefficient(series, _ORDERS[name]) * (1, 1, 2)[_ORDERS[name]] for name in names if name in _ORDERS
        }
    ctx.cap = 2
    for name in names:
        if name == "targets":
            moving = Arguments(_first(function, first, 0, infinity), arb_series([_ball(target), 1]), target, constants)
        elif name not in _ORDERS:
            moved = {**constants, name: arb_series([_ball(parameters[name]), 1])}
            moving = Arguments(_first(function, first, 0, infinity), t, target, moved)
        else:
            continue
        results[name] = _coefficient(formula(moving), 1)
    return results


def _coefficient(series: Any, order: int) -> Ball:
    """Coefficient of a series, which is 0 without notice where the series was cut."""
    if series.prec <= order:
        raise AssertionError(f"coefficient {order} of a series that was cut to {series.prec}")
    return series[order]


def _first(function: str, number: Any, slope: int, infinity: int) -> Any:
    """Series of a logit, or of a probability and what belongs to it."""
    if function != "loss_from_probabilities":
        return arb_series([_logit(number, infinity), slope])
    if number in (0, 1):
        log_small = -(arb(2) ** infinity)
        small = log_small.exp()
        edge = probability(small, log_small, 1 - small, (-small).log1p(), slope if number == 0 else -slope)
        return edge if number == 0 else edge.mirrored
    p, q = _ball(number), _ball(1 - Fraction(number))
    return probability(p, p.log() if number < 0.5 else (-q).log1p(), q, (-p).log1p(), slope)


def _row_balls(
    names: Sequence[str], inputs: Sequence[Any], parameters: Mapping[str, Any], infinity: int
) -> dict[str, Any]:
    logits, target = inputs
    classes = len(logits)
    constant = None
    if isinstance(target, int):
        if target == IGNORE:
            constant = 0.0
        target = [1.0 if i == target else 0.0 for i in range(classes)]
    if constant is None and any(map(math.isnan, logits)):
        constant = math.nan
    elif classes == 1:
        # p is 1 whatever the logit is, and 0^0 (-log 1) is 0 as well.
        constant = 0.0
    if constant is not None:
        shapes = {"second_derivative": [[constant] * classes] * classes, "value": constant, "gamma": constant}
        return {name: shapes.get(name, [constant] * classes) for name in names}
    weights = [1.0] * classes if parameters["alpha"] is None else parameters["alpha"]
    row = Row(
        [_logit(z, infinity) for z in logits],
        [_ball(t) for t in target],
        [_ball(w) for w in weights],
        _ball(parameters["gamma"]),
    )
    methods = {
        **{"value": row.value, "gradient": row.gradient, "second_derivative": row.second_derivative},
        **{"gamma": row.in_gamma, "targets": row.in_targets, "alpha": row.in_alpha},
    }
    ctx.cap = 3
    return {name: methods[name]() for name in names}


def _at_the_kink(name: str, beta: Fraction) -> Any:
    """Quality focal loss at p == t == 1/2, where |t - p|^beta is about |x / 4|^beta and its derivatives are even or 0.

    The second derivative of |x / 4|^beta log 2 tends to 0 for beta > 2, and to an infinity with the sign of
    beta (beta - 1) for beta < 2; for beta = 1 what is left is |x / 4| times a bounded function. The derivative in
    beta is that of |x / 4|^beta log |x / 4| log 2.
    """
    if name == "beta" and beta == 0:
        return -math.inf
    if name != "second_derivative" or beta > 2 or beta == 1:
        return 0.0
    if beta == 2:
        return arb(2).log() / 8
    return math.inf if beta > 1 else -math.inf


def _ball(number: Any) -> Ball:
    """Ball around a float, exact, or around a rational number."""
    if isinstance(number, Fraction):
        return arb(fmpq(number.numerator, number.denominator))
    return arb(number)


def _logit(number: Any, infinity: int) -> Ball:
    if math.isinf(number):
        return arb(2) ** infinity * (1 if number > 0 else -1)
    return _ball(number)


def flattened(numbers: Any) -> list[Any]:
    """Entries of nested sequences."""
    if isinstance(numbers, list | tuple):
        return [entry for part in numbers for entry in flattened(part)]
    return [numbers]


def is_accurate(ball: Ball, accurate: int) -> bool:
    """Whether a ball has so many bits, or is zero for every format."""
    if isinstance(ball, float):
        return True
    return bool(ball.is_finite() and (ball.rel_accuracy_bits() >= accurate or abs(ball) < _ZERO))


def limits(ball: Any) -> Any:
    """Limits, from quantities at the stand-ins for infinite logits and for the probabilities 0 and 1."""
    if isinstance(ball, list):
        return [limits(number) for number in ball]
    if isinstance(ball, float):
        return ball
    if abs(ball) < _NOTHING:
        return 0.0
    if abs(ball) > _INFINITE:
        return math.inf if ball > 0 else -math.inf
    return ball
