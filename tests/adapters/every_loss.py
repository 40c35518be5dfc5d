"""Every public loss on a few numbers, with what it and its derivatives are by mpmath from the definition alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import mpmath
import numpy as np

import focal_ref

Row = list[Any]
"""Logits, targets or numbers that one result depends on: one of an elementwise loss, one a class of a softmax."""

LOGITS = np.float32([[-2.5, 0.75, 4.0], [1.25, -0.5, -6.0]])
SHARES = np.float32([[1.0, 0.3, 0.0], [0.6, 1.0, 0.0]])
WEIGHTS = np.float32([1.5, 0.25, 2.0])


@dataclass(frozen=True, eq=False)
class Case:
    """One loss with its arguments.

    Attributes
    ----------
    definition
        From a row of logits, of targets as shares, and of each number, to the result without weights. The last argument
        has the targets again: which of them a branch goes by, while the others are varied.
    shares
        What the targets say, in the logits' shape.
    classes
        Whether each result belongs to a whole row of logits.
    """

    function: Callable[..., Any]
    definition: Callable[[Row, Row, Mapping[str, Row], Row], Any]
    targets: Any
    shares: Any
    numbers: dict[str, Any]
    logits: Any = field(default_factory=LOGITS.copy)
    further: dict[str, Any] = field(default_factory=dict)
    weights: Any = field(default_factory=WEIGHTS.copy)
    classes: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.numbers, **self.further, "weights": self.weights}

    @property
    def soft(self) -> bool:
        return self.targets.dtype.kind == "f"

    def call(self, logits, targets, **settings):
        """The loss with this case's settings, some of them replaced."""
        return self.function(logits, targets, **{**self.settings, **settings})


def value(case):
    """Each result, as an array of mpmath numbers like all that follows."""
    return _for_each_result(case, lambda result, z, t, numbers: result(z, t, numbers))


def gradient(case):
    """Derivative of each result with respect to each of its logits."""
    return _for_each_logit(
        case, lambda result, z, t, numbers, i: _slope(lambda x: result(_put(z, i, x), t, numbers), z[i])
    )


def hessian(case):
    """Second derivatives of each result, with one more axis that runs over its logits."""

    def second(result, z, t, numbers, i, j):
        if i == j:
            return _slope(lambda x: result(_put(z, i, x), t, numbers), z[i], 2)
        return _slope(lambda x, y: result(_put(_put(z, i, x), j, y), t, numbers), (z[i], z[j]), (1, 1))

    size = case.logits.shape[-1] if case.classes else 1
    return np.stack([_for_each_logit(case, lambda *row, j=j: second(*row, j)) for j in range(size)], axis=-1)


def second_derivative(case):
    """Second derivative of each result with respect to each of its logits."""
    matrix = hessian(case)
    return np.diagonal(matrix, axis1=-2, axis2=-1) if case.classes else matrix[..., 0]


def partial(case, name):
    """Derivative of each result with respect to one of the numbers, the targets or the weights that it depends on."""
    if name == "weights":
        return value(replace(case, weights=np.ones_like(case.weights)))

    def slope(result, z, t, numbers, i):
        if name == "targets":
            return _slope(lambda x: result(z, _put(t, i, x), numbers), t[i])
        return _slope(lambda x: result(z, t, {**numbers, name: _put(numbers[name], i, x)}), numbers[name][i])

    return _for_each_logit(case, slope)


def assert_rounded(found, exact, ulps=0.501):
    """The numbers are finite and at most so many units in the last place of their dtype off."""
    found = np.asarray(found)
    assert found.shape == exact.shape
    limits = np.finfo(found.dtype)
    for index in np.ndindex(found.shape):
        number, wanted = mpmath.mpf(float(found[index])), exact[index]
        exponent = mpmath.frexp(wanted)[1] - limits.nmant - 1 if wanted else limits.minexp - limits.nmant
        unit = mpmath.ldexp(1, max(exponent, limits.minexp - limits.nmant))
        assert abs(number - wanted) <= ulps * unit, f"{found[index]!r} at {index}, not {mpmath.nstr(wanted, 20)}"


def _for_each_result(case, quantity):
    shape = case.logits.shape[:-1] if case.classes else case.logits.shape
    found = np.empty(shape, object)
    for index in np.ndindex(shape):
        found[index] = quantity(*_row(case, index))
    return found


def _for_each_logit(case, quantity):
    found = np.empty(case.logits.shape, object)
    for index in np.ndindex(case.logits.shape):
        row, i = (index[:-1], index[-1]) if case.classes else (index, 0)
        found[index] = quantity(*_row(case, row), i)
    return found


def _row(case, index):
    """The result at an index as a function of the row, and the row."""

    def row(array, shape=case.logits.shape):
        return [mpmath.mpf(float(number)) for number in np.ravel(np.broadcast_to(array, shape)[index])]

    z, t = row(case.logits), row(case.shares)
    numbers = {name: row(array) for name, array in {**case.numbers, **case.further}.items()}
    weight = row(case.weights, case.logits.shape[:-1] if case.classes else case.logits.shape)[0]
    return lambda logits, targets, given: weight * case.definition(logits, targets, given, t), z, t, numbers


def _put(row, i, number):
    return [*row[:i], number, *row[i + 1 :]]


def _slope(function, at, order=1):
    with mpmath.workdps(60):
        return mpmath.diff(function, at, order)


# The definitions, of one result each.


def _sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def _cross_entropy(p, t):
    return -t * mpmath.log(p) - (1 - t) * mpmath.log(1 - p)


def _alpha(t, numbers):
    return numbers["alpha"][0] * t + (1 - numbers["alpha"][0]) * (1 - t)


def _of_probability(row, targets, numbers, _):
    (p,), (t,) = row, targets
    u = p * (1 - t) + (1 - p) * t
    return _alpha(t, numbers) * u ** numbers["gamma"][0] * _cross_entropy(p, t)


def _focal(row, *more):
    return _of_probability([_sigmoid(row[0])], *more)


def _softmax(row, targets, numbers, _):
    total = mpmath.fsum(mpmath.exp(z) for z in row)
    terms = zip((mpmath.exp(z) / total for z in row), targets, numbers["alpha"], numbers["gamma"], strict=True)
    return mpmath.fsum(t * alpha * (1 - p) ** gamma * -mpmath.log(p) for p, t, alpha, gamma in terms)


def _star(row, targets, numbers, _):
    (x,), (t,) = row, targets
    gamma, beta = numbers["gamma"][0], numbers["beta"][0]
    return -_alpha(t, numbers) * mpmath.log(_sigmoid(gamma * (x if t else -x) + beta)) / gamma


def _quality(row, targets, numbers, _):
    p, (t,) = _sigmoid(row[0]), targets
    return abs(t - p) ** numbers["beta"][0] * _cross_entropy(p, t)


def _varifocal(row, targets, numbers, branches):
    p, (t,) = _sigmoid(row[0]), targets
    if branches[0] > 0:
        return t * _cross_entropy(p, t)
    return -numbers["alpha"][0] * p ** numbers["gamma"][0] * mpmath.log(1 - p)


def _asymmetric(row, targets, numbers, _):
    p, (t,) = _sigmoid(row[0]), targets
    shifted = max(p - numbers["clip"][0], mpmath.mpf(0))
    positive = (1 - p) ** numbers["gamma_positive"][0] * -mpmath.log(p)
    return t * positive + (1 - t) * shifted ** numbers["gamma_negative"][0] * -mpmath.log(1 - shifted)


def _heatmap(row, targets, numbers, branches):
    p, (t,) = _sigmoid(row[0]), targets
    gamma, beta = numbers["gamma"][0], numbers["beta"][0]
    if branches[0] == 1:
        return (1 - p) ** gamma * -mpmath.log(p)
    return (1 - t) ** beta * p**gamma * -mpmath.log(1 - p)


_PAPER = {"alpha": np.float32(0.25), "gamma": np.float32(1.5)}
_ROWS = {"alpha": np.float32([0.5, 1.25, 2.0]), "gamma": np.float32([0.5, 1.5, 2.0])}
_PROBABILITIES = np.float32([[0.1, 0.6, 0.95], [0.7, 0.4, 0.02]])
_SIGNS = np.float32([[1, -1, 1], [-1, -1, 1]])


def _labelled(labels):
    return (np.arange(LOGITS.shape[-1]) == labels[:, None]).astype(np.float32)


_LABELS = np.array([1, focal_ref.BACKGROUND])
_CLASSES = np.array([2, 0])

CASES = {
    "loss": Case(focal_ref.loss, _focal, SHARES, SHARES, _PAPER),
    "labels": Case(focal_ref.loss_from_labels, _focal, _LABELS, _labelled(_LABELS), _PAPER),
    "probabilities": Case(
        focal_ref.loss_from_probabilities, _of_probability, SHARES, SHARES, _PAPER, logits=_PROBABILITIES
    ),
    "softmax": Case(
        focal_ref.softmax_loss, _softmax, _CLASSES, _labelled(_CLASSES), _ROWS, weights=WEIGHTS[:2], classes=True
    ),
    "softmax_rows": Case(focal_ref.softmax_loss, _softmax, SHARES, SHARES, _ROWS, weights=WEIGHTS[:2], classes=True),
    "star": Case(focal_ref.star_loss, _star, SHARES > 0.5, SHARES > 0.5, {**_PAPER, "beta": np.float32(-0.75)}),
    "quality": Case(focal_ref.quality_focal_loss, _quality, SHARES, SHARES, {"beta": np.float32(2.5)}),
    "varifocal": Case(focal_ref.varifocal_loss, _varifocal, SHARES, SHARES, _PAPER),
    "asymmetric": Case(
        focal_ref.asymmetric_loss,
        _asymmetric,
        SHARES,
        SHARES,
        {"gamma_positive": np.float32(0.5), "gamma_negative": np.float32(2.5)},
        further={"clip": 0.0625},
    ),
    "heatmap": Case(
        focal_ref.heatmap_focal_loss, _heatmap, SHARES, SHARES, {"gamma": np.float32(1.5), "beta": np.float32(3.0)}
    ),
}
"""One of each form and encoding; the numbers hold exactly in float32."""
