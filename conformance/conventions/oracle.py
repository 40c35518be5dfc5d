"""What an implementation with declared conventions must give: value and gradient, from Arb balls.

Used where the conventions are not those of the stored vectors. Balls are made with growing precision until they hold
more bits than two float64, so that errors are measured in fractions of an ulp.
"""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from flint import arb, arb_series, ctx

from focal_ref.conformance.accuracy import Array, Exact
from focal_ref.conformance.conventions.formulas import (
    Element,
    Product,
    clipped,
    positive,
    products,
    weight_of,
    weight_of_class,
)
from focal_ref.conformance.conventions.scope import function_of
from focal_ref.conformance.family.balls import Probability, Undecided, probability, sigmoid
from focal_ref.conformance.family.certify import ball_in_ulps, exact_from_ulps
from focal_ref.conformance.family.enclosures import ACCURATE_BITS, LAST_PRECISION, is_accurate, limits
from focal_ref.conformance.family.functions import FUNCTIONS, IGNORE
from focal_ref.conformance.family.scales import scales
from focal_ref.conformance.family.softmax_balls import Row
from focal_ref.conformance.formats import Format
from focal_ref.conformance.targets import Call

BACKGROUND = -1
"""Label of the canonical call that is a negative of every class."""

QUANTITIES = ("value", "gradient")

_FIRST_PRECISION = 160

_INFINITE_LOGIT = 3000
"""2 to this power stands for an infinite logit; quantities there are their limits far beyond every format."""

Pair = tuple[Any, Any]
"""A quantity and the sum of the magnitudes of the terms that it is the difference of."""


def exact_by_conventions(call: Call, conventions: Mapping[str, Any], format: Format) -> dict[str, Exact]:
    """Value and gradient of a call by declared conventions.

    Parameters
    ----------
    call
        Without reduction and weights. Classes of a softmax lie along the last axis; labels are those of the canonical
        call, with -1 for background and -2 for what is ignored; alpha is None where it is off.
    conventions
        A value for each axis of `focal_ref.conformance.conventions.axes`.
    format
        Of the results.

    Returns
    -------
    dict of str to Exact
        "value" and "gradient", the latter with respect to the logits, or to the probabilities where these are
        predicted. Errors of soft targets' gradients count in ulp of the sum of the magnitudes of their terms.
    """
    labels = call.targets.dtype.kind in "iu" and call.targets.ndim == call.logits.ndim - 1
    function = function_of(conventions, labels=labels)
    if function == "softmax_loss":
        return _of_rows(call, conventions, format)
    targets = call.targets
    if function == "loss_from_labels":
        counted = np.broadcast_to((targets != IGNORE)[..., np.newaxis], call.logits.shape)
        targets = np.where(counted, targets[..., np.newaxis] == np.arange(call.logits.shape[-1]), np.nan)
    return _of_elements(call, targets, conventions, format)


def denominator(call: Call, conventions: Mapping[str, Any]) -> float:
    """By what the sum is divided for the mean of a call, by the declared convention.

    Raises
    ------
    ValueError
        If there is no mean.
    """
    mean, size = conventions["mean"], call.logits.size
    rows = conventions["multi_class"] == "softmax"
    labels = call.targets.dtype.kind in "iu" and call.targets.ndim == call.logits.ndim - 1
    classes = call.logits.shape[-1] if call.logits.ndim else 1
    counted = (
        call.targets != IGNORE if labels else np.ones(call.targets.shape[:-1] if rows else call.logits.shape, bool)
    )
    if mean == "elements":
        return float(size)
    if mean == "rows":
        return size / classes if classes else 0.0
    if mean == "valid":
        return float(counted.sum()) * (classes if labels and not rows else 1)
    if mean == "positives":
        hits = (call.targets >= 0) & counted if labels else call.targets == 1
        return max(1.0, float(hits.sum()))
    if mean == "weights":
        return _sum_of_weights(call, conventions, labels=labels, counted=counted)
    raise ValueError("conventions.mean is 'unsupported': there is no denominator")


def _sum_of_weights(call: Call, conventions: Mapping[str, Any], *, labels: bool, counted: Array) -> float:
    meaning = conventions["alpha"]
    if conventions["multi_class"] == "softmax":
        alpha: Any = call.alpha if call.alpha is None or np.ndim(call.alpha) else float(call.alpha)
        chosen = call.targets if labels else np.argmax(call.targets, axis=-1)
        return math.fsum(float(weight_of_class(int(label), alpha, meaning)) for label in chosen[counted].ravel())
    targets = call.targets
    if labels:
        targets = np.equal.outer(targets[counted], np.arange(call.logits.shape[-1]))
    alphas = (
        [None] * targets.size if call.alpha is None else np.broadcast_to(call.alpha, targets.shape).ravel().tolist()
    )
    pairs = zip(targets.ravel().tolist(), alphas, strict=True)
    return math.fsum(float(weight_of(float(t), None if a is None else arb(a), meaning)) for t, a in pairs)


def _of_elements(call: Call, targets: Array, conventions: Mapping[str, Any], format: Format) -> dict[str, Exact]:
    function = function_of(conventions)
    numbers: dict[str, Any] = {name: getattr(call, name) for name in ("alpha", "gamma")} | dict(call.parameters)
    names = FUNCTIONS[function].parameters
    shape = call.logits.shape
    columns = {
        name: np.broadcast_to(np.asarray(numbers[name], dtype=np.float64), shape).ravel().tolist()
        for name in names
        if numbers.get(name) is not None
    }
    flat = (call.logits.astype(np.float64).ravel().tolist(), targets.astype(np.float64).ravel().tolist())
    axes = tuple(sorted(conventions.items(), key=lambda item: item[0]))
    rows = [
        _element(x, t, tuple((name, column[index]) for name, column in columns.items()), axes, format)
        for index, (x, t) in enumerate(zip(*flat, strict=True))
    ]
    return {
        name: exact_from_ulps([[row[position]] for row in rows], shape, format)
        for position, name in enumerate(QUANTITIES)
    }


@lru_cache(maxsize=1 << 16)
def _element(
    x: float, t: float, numbers: tuple[tuple[str, float], ...], axes: tuple[tuple[str, Any], ...], format: Format
) -> tuple[Any, Any]:
    """Value and gradient of one element in ulps; a target of NaN is an element that is ignored."""
    if math.isnan(t):
        return _in_ulps((0.0, 0.0), format), _in_ulps((0.0, 0.0), format)
    if math.isnan(x):
        return _in_ulps((math.nan, math.nan), format), _in_ulps((math.nan, math.nan), format)
    conventions = dict(axes)
    of_probabilities = conventions["prediction"] == "probabilities"
    edge = math.isinf(x) or (of_probabilities and x in (0, 1))

    def evaluated() -> list[Pair]:
        balls = {name: arb(number) for name, number in numbers}
        logit = None if of_probabilities else arb_series([_logit(x), 1])
        p = _given(x) if of_probabilities else sigmoid(logit)
        return _value_and_slope(products(Element(logit, p, t, balls), conventions))

    size = _INFINITE_LOGIT if edge else max(0, math.frexp(x)[1])
    results = _enclosed(evaluated, size, edge=edge)
    value, gradient = (
        (ball, _larger(magnitude, scale))
        for (ball, magnitude), scale in zip(results, _of_distance(x, t, dict(numbers), conventions), strict=True)
    )
    return _in_ulps(value, format), _in_ulps(gradient, format)


def _of_distance(x: float, t: float, numbers: Mapping[str, float], conventions: Mapping[str, Any]) -> list[Any]:
    """Scales of losses of a distance t - p or p - clip, which is a difference itself; None for the others."""
    quality = conventions["formula"] == "quality" or conventions["soft_targets"] == "distance"
    if conventions["prediction"] != "logits" or not (quality or conventions["formula"] == "asymmetric"):
        return [None] * len(QUANTITIES)
    function = "quality_focal_loss" if quality else "asymmetric_loss"
    exponents = {"beta": numbers.get("beta", numbers.get("gamma"))} if quality else numbers
    found = scales(function, QUANTITIES, (x, t), exponents)
    return [found[name] for name in QUANTITIES]


def _larger(magnitude: Any, scale: Any) -> Any:
    if scale is None or isinstance(magnitude, float):
        return magnitude
    return scale if scale > magnitude else magnitude


def _value_and_slope(pairs: list[Product]) -> list[Pair]:
    """Value and derivative of a sum of products, each with the sum of its terms' magnitudes."""
    value = slope = magnitude = arb(0)
    for factor, logarithm in pairs:
        terms = (factor[1] * logarithm[0], factor[0] * logarithm[1])
        value += factor[0] * logarithm[0]
        slope += terms[0] + terms[1]
        magnitude += abs(terms[0]) + abs(terms[1])
    return [(value, value), (slope, magnitude)]


def _given(number: float) -> Probability:
    """A probability that is the variable itself."""
    if number in (0, 1):
        log_small = -(arb(2) ** _INFINITE_LOGIT)
        small = log_small.exp()
        edge = probability(small, log_small, 1 - small, (-small).log1p(), 1 if number == 0 else -1)
        return edge if number == 0 else edge.mirrored
    p = arb(number)
    return probability(p, p.log() if number < 0.5 else (p - 1).log1p(), 1 - p, (-p).log1p(), 1)


def _logit(number: float) -> Any:
    return arb(2) ** _INFINITE_LOGIT * (1 if number > 0 else -1) if math.isinf(number) else arb(number)


def _of_rows(call: Call, conventions: Mapping[str, Any], format: Format) -> dict[str, Exact]:
    shape, classes = call.logits.shape[:-1], call.logits.shape[-1]
    rows = call.logits.astype(np.float64).reshape(-1, classes).tolist()
    if call.targets.dtype.kind in "iu" and call.targets.ndim == call.logits.ndim - 1:
        targets: list[Any] = [int(label) for label in call.targets.ravel()]
    else:
        targets = [tuple(row) for row in call.targets.astype(np.float64).reshape(-1, classes).tolist()]
    alpha: Any = None
    if call.alpha is not None:
        alpha = tuple(np.asarray(call.alpha, np.float64).tolist()) if np.ndim(call.alpha) else float(call.alpha)
    axes = tuple(sorted(conventions.items(), key=lambda item: item[0]))
    found = [
        _row(tuple(row), target, alpha, float(call.gamma), axes, format)
        for row, target in zip(rows, targets, strict=True)
    ]
    return {
        "value": exact_from_ulps([[value] for value, _ in found], shape, format),
        "gradient": exact_from_ulps([gradient for _, gradient in found], (*shape, classes), format),
    }


@lru_cache(maxsize=1 << 12)
def _row(
    row: tuple[float, ...],
    target: int | tuple[float, ...],
    alpha: float | tuple[float, ...] | None,
    gamma: float,
    axes: tuple[tuple[str, Any], ...],
    format: Format,
) -> tuple[Any, list[Any]]:
    """Value and gradient of one row in ulps."""
    conventions = dict(axes)
    constant = None
    if target == IGNORE:
        constant = 0.0
    elif any(map(math.isnan, row)):
        constant = math.nan
    elif len(row) == 1 and conventions["clipping"] == "none":
        # p is 1 whatever the logit is.
        constant = 0.0
    if constant is not None:
        return _in_ulps((constant, constant), format), [_in_ulps((constant, constant), format)] * len(row)
    edge = any(map(math.isinf, row)) and len(row) > 1
    shares = {target: 1.0} if isinstance(target, int) else {i: share for i, share in enumerate(target) if share}

    def evaluated() -> list[Pair]:
        numbers: Any = None if alpha is None else [arb(w) for w in alpha] if isinstance(alpha, tuple) else arb(alpha)
        if len(row) == 1:
            factor, logarithm = _term_of_one_class(gamma, conventions)
            weight = sum(arb(share) * weight_of_class(i, numbers, conventions["alpha"]) for i, share in shares.items())
            return _value_and_slope([(factor * weight, logarithm)])
        whole = Row([_logit(z) for z in row], [arb(0)] * len(row), [arb(1)] * len(row), arb(gamma))
        terms = {i: arb(share) * weight_of_class(i, numbers, conventions["alpha"]) for i, share in shares.items()}
        pairs: list[Pair] = []
        for j in range(len(row)):
            products = []
            for i, weight in terms.items():
                if weight != 0:
                    factor, logarithm = _term(whole, i, j, conventions)
                    products.append((factor * weight, logarithm))
            value, slope = _value_and_slope(products)
            pairs += [value, slope] if j == 0 else [slope]
        return pairs

    size = _INFINITE_LOGIT if edge else max(0, *(math.frexp(z)[1] for z in row))
    value, *gradient = _enclosed(evaluated, size, edge=edge)
    return _in_ulps(value, format), [_in_ulps(entry, format) for entry in gradient]


def _term_of_one_class(gamma: float, conventions: Mapping[str, Any]) -> Product:
    """The product of a class whose probability is 1, as it is clipped."""
    epsilon = arb(conventions["epsilon"])
    missed = epsilon if conventions["clipping"] == "probability" else arb(0)
    factor = arb(1) if gamma == 0 else missed**gamma
    log_p = {"added": epsilon.log1p(), "logarithm": arb(0)}.get(conventions["clipping"], (-epsilon).log1p())
    return arb_series([factor]), arb_series([-log_p])


def _term(row: Row, i: int, j: int, conventions: Mapping[str, Any]) -> Product:
    """The product of class i as a series in the logit of class j."""
    p, q = row.exponentials[i] / row.total, row.rests[i] / row.total
    if i == j:
        slopes = p * q, q, -p
    else:
        other = row.exponentials[j] / row.total
        slopes = -p * other, -other, p * other / q
    along = Probability(
        arb_series([p, slopes[0]]),
        arb_series([q, -slopes[0]]),
        arb_series([row.log_p[i], slopes[1]]),
        arb_series([row.log_missed[i], slopes[2]]),
    )
    if conventions["clipping"] == "probability":
        along = clipped(along, conventions["epsilon"])
    return positive(along, row.gamma, conventions)


def _enclosed(evaluated: Callable[[], list[Pair]], size: int, *, edge: bool) -> list[Pair]:
    """Balls that are accurate enough, from growing precision; limits at infinite logits."""
    precision = _FIRST_PRECISION + size
    saved = ctx.prec, ctx.cap
    try:
        while precision <= LAST_PRECISION:
            ctx.prec, ctx.cap = precision, 2
            try:
                pairs = evaluated()
            except Undecided:
                pairs = []
            if pairs and all(is_accurate(ball, ACCURATE_BITS) for ball, _ in pairs):
                return [(limits(ball), limits(magnitude)) for ball, magnitude in pairs] if edge else pairs
            precision *= 2
    finally:
        ctx.prec, ctx.cap = saved
    raise ArithmeticError("no precision encloses the result")


def _in_ulps(pair: Pair, format: Format) -> tuple[float, float, int, int]:
    """A quantity over its ulp as two floats, the ulp's exponent and that of the terms' magnitudes."""
    ball, magnitude = pair
    high, low, unit = ball_in_ulps(ball, format)
    return high, low, unit, max(unit, ball_in_ulps(magnitude, format)[2])
