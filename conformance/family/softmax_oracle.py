"""The focal loss of a row of logits by its printed formula, in arbitrary precision, with numeric derivatives.

    p_i = exp(z_i) / sum_k exp(z_k),      loss = sum_i t_i alpha_i (1 - p_i)^gamma (-log p_i)

A logit that lies more than 3000 below the largest one has p_i = 0 there, up to exp(-3000); its logarithm is then the
difference of its logit and the logarithm of the others' sum, and nothing else changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from mpmath import mp

from focal_ref.conformance.family.functions import IGNORE, Real
from focal_ref.conformance.family.numeric import (
    GUARD_BITS,
    RESULT_BITS,
    Number,
    bits_of,
    bits_of_exp,
    exact,
    until_stable,
)

__all__ = ["quantity"]

_FAR = 3000


def quantity(name: str, row: Sequence[Real], target: Any, alpha: Sequence[Real] | None, gamma: Real) -> Any:
    """One quantity of a row; arguments and shapes as in `focal_ref.conformance.family.oracle.quantity`."""
    if target == IGNORE and isinstance(target, int):
        return _shaped(name, len(row), mp.zero)
    if any(math.isnan(logit) for logit in row):
        return _shaped(name, len(row), mp.nan)
    if len(row) == 1:
        # p is 1 whatever the logit is, and 0^0 (-log 1) is 0 as well.
        return _shaped(name, 1, mp.zero)
    targets = [Fraction(int(i == target)) for i in range(len(row))] if isinstance(target, int) else target
    weights = [Fraction(1)] * len(row) if alpha is None else alpha
    largest = max((abs(Fraction(logit)) for logit in row if math.isfinite(logit)), default=Fraction(0))
    results = []
    # Infinity is far beyond the other logits; what differs between two such places is infinite.
    for infinity in (Fraction(2) ** (bits_of(largest) + size) for size in (20, 21)):
        finite = [Fraction(logit) if math.isfinite(logit) else infinity * (1 if logit > 0 else -1) for logit in row]
        results.append(_Row(finite, [Fraction(t) for t in targets], weights, Fraction(gamma)).quantity(name))
        if all(map(math.isfinite, row)):
            return results[0]
    return _limits(results[0], results[1])


def _shaped(name: str, classes: int, number: Number) -> Any:
    if name == "second_derivative":
        return [[number] * classes for _ in range(classes)]
    return [number] * classes if name in ("gradient", "alpha", "targets") else number


def _limits(near: Any, far: Any) -> Any:
    """What does not change from one stand-in to the other, or an infinity."""
    if isinstance(near, list):
        return [_limits(one, other) for one, other in zip(near, far, strict=True)]
    with mp.workprec(2 * RESULT_BITS):
        if abs(near - far) <= mp.ldexp(abs(far), -200):
            return far
        return mp.inf if far > near else mp.ninf


class _Row:
    """A row of finite logits, and the loss around it."""

    def __init__(self, row: list[Fraction], targets: list[Fraction], weights: Sequence[Real], gamma: Fraction) -> None:
        self.row, self.targets, self.weights, self.gamma = row, targets, weights, gamma
        largest = max(row)
        self.near = [i for i, logit in enumerate(row) if largest - logit <= _FAR]
        spread = largest - min(row[i] for i in self.near)
        sizes = [bits_of(abs(logit)) for logit in row]
        self.lost = bits_of_exp(spread) + max(sizes) + bits_of(gamma) + GUARD_BITS + len(row)
        self.largest = largest

    def quantity(self, name: str) -> Any:
        classes = range(len(self.row))
        if name == "value":
            return self._stable(lambda: self._loss({}), 0)
        if name == "gradient":
            return [self._partial(("logits", j)) for j in classes]
        if name == "second_derivative":
            upper = {(j, k): self._mixed(j, k) for j in classes for k in classes if j <= k}
            return [[upper[min(j, k), max(j, k)] for k in classes] for j in classes]
        if name == "gamma":
            return self._partial(("gamma", 0))
        return [self._partial((name, i)) for i in classes]

    def _partial(self, variable: tuple[str, int], order: int = 1) -> Number:
        at = exact(self._number(variable))
        return self._stable(lambda: mp.diff(lambda moved: self._loss({variable: moved}), at, order), self.lost)

    def _mixed(self, j: int, k: int) -> Number:
        if j == k:
            return self._partial(("logits", j), 2)
        at = tuple(exact(self.row[i]) for i in (j, k))

        def moved(first: Number, second: Number) -> Number:
            return self._loss({("logits", j): first, ("logits", k): second})

        return self._stable(lambda: mp.diff(moved, at, (1, 1)), self.lost)

    def _stable(self, evaluate: Callable[[], Number], more: int) -> Number:
        return until_stable(evaluate, RESULT_BITS + GUARD_BITS + more)

    def _number(self, variable: tuple[str, int]) -> Real:
        name, i = variable
        return {"logits": self.row, "targets": self.targets, "alpha": self.weights, "gamma": [self.gamma]}[name][i]

    def _loss(self, moved: dict[tuple[str, int], Number]) -> Number:
        """The loss in the current precision, with some of its numbers replaced."""

        def number(name: str, i: int = 0) -> Number:
            return moved[name, i] if (name, i) in moved else exact(self._number((name, i)))

        with mp.workprec(mp.prec + self.lost):
            # Common to numerator and denominator; exp of a logit itself may have an astronomic exponent.
            shift = exact(self.largest)
            exponentials = {i: mp.exp(number("logits", i) - shift) for i in self.near}
            total = mp.fsum(exponentials.values())
            terms = []
            for i in range(len(self.row)):
                weight = number("targets", i) * number("alpha", i)
                if weight == 0 or self.near == [i]:
                    # The latter has p_i = 1 and a loss below exp(-3000).
                    continue
                if i in exponentials:
                    p = exponentials[i] / total
                    modulating = mp.one if number("gamma") == 0 else mp.power(1 - p, number("gamma"))
                    terms.append(weight * modulating * -mp.log(p))
                else:
                    terms.append(weight * (mp.log(total) + shift - number("logits", i)))
            return mp.fsum(terms)
