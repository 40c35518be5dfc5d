"""The focal loss of a row of logits in Arb: balls around its terms and their derivatives.

    p_i = exp(z_i) / sum_k exp(z_k),      loss = sum_i t_i alpha_i (1 - p_i)^gamma (-log p_i)

Tight for logits of any size: 1 - p_i is the sum of the other exponentials over the whole sum, and logarithms of numbers
next to 1 are taken as log(1 + small).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flint import arb, arb_series

from focal_ref.conformance.family.balls import power

__all__ = ["Row"]

Ball = Any
Series = Any


class Row:
    """A row of at least two logits.

    Parameters
    ----------
    logits, weights, targets : sequences of arb
    gamma : arb
    """

    def __init__(self, logits: Sequence[Ball], targets: Sequence[Ball], weights: Sequence[Ball], gamma: Ball) -> None:
        self.classes = range(len(logits))
        self.targets, self.weights, self.gamma = targets, weights, gamma
        self.top = 0
        for i in self.classes:
            if logits[i] > logits[self.top]:
                self.top = i
        shifted = [logit - logits[self.top] for logit in logits]
        self.exponentials = [number.exp() for number in shifted]
        self.rests = [_sum(self.exponentials, leave_out=(i,)) for i in self.classes]
        self.total = 1 + self.rests[self.top]
        log_total = self.rests[self.top].log1p()
        self.log_p = [number - log_total for number in shifted]
        self.log_missed = [self._log_missed(i, log_total) for i in self.classes]
        self.active = [i for i in self.classes if not (targets[i] == 0 or weights[i] == 0)]

    def _log_missed(self, i: int, log_total: Ball) -> Ball:
        """log(1 - p_i)."""
        if i != self.top and self.exponentials[i] < self.rests[i]:
            return (-self.exponentials[i] / self.total).log1p()
        return self.rests[i].log() - log_total

    def term(self, i: int, *, gamma_moves: bool = False) -> Series:
        """(1 - p_i)^gamma (-log p_i), as a series in gamma if that moves."""
        gamma = arb_series([self.gamma, 1] if gamma_moves else [self.gamma])
        return power(arb_series([self.log_missed[i]]), gamma) * -self.log_p[i]

    def term_along(self, i: int, moved: tuple[int, ...], order: int) -> Series:
        """The same up to that order in a number that is added to the logits of the moved classes."""
        others = tuple(j for j in moved if j != i)
        part = _sum([self.exponentials[j] for j in moved]) / self.total
        part_missed = _sum([self.exponentials[j] for j in others]) / self.rests[i]
        rest = (self.rests[moved[0]] if len(moved) == 1 else _sum(self.exponentials, leave_out=moved)) / self.total
        # The logarithm of a sum, part of which grows by exp(h), is its value and part h + part rest h^2 / 2, with the
        # shares of both parts.
        log_p = [self.log_p[i], rest if i in moved else -part]
        log_missed = [self.log_missed[i], part_missed - part]
        if order == 2:
            bend = part * rest / 2
            rest_missed = _sum(self.exponentials, leave_out=(*others, i)) / self.rests[i]
            log_p.append(-bend)
            log_missed.append(part_missed * rest_missed / 2 - bend)
        return power(arb_series(log_missed), arb_series([self.gamma])) * -arb_series(log_p)

    def value(self) -> Ball:
        """The loss."""
        return _sum([self._factor(i) * self.term(i)[0] for i in self.active])

    def gradient(self) -> list[Ball]:
        """Derivatives with respect to the logits."""
        return [_sum([self._factor(i) * self.term_along(i, (j,), 1)[1] for i in self.active]) for j in self.classes]

    def second_derivative(self) -> list[list[Ball]]:
        """Matrix of second derivatives, by polarisation of those along one and two logits."""
        along = {
            moved: _sum([self._factor(i) * 2 * self.term_along(i, moved, 2)[2] for i in self.active])
            for j in self.classes
            for k in self.classes[j:]
            for moved in [(j,) if j == k else (j, k)]
        }

        def entry(j: int, k: int) -> Ball:
            if j == k:
                return along[j,]
            return (along[min(j, k), max(j, k)] - along[j,] - along[k,]) / 2

        return [[entry(j, k) for k in self.classes] for j in self.classes]

    def in_gamma(self) -> Ball:
        """Derivative with respect to gamma."""
        return _sum([self._factor(i) * self.term(i, gamma_moves=True)[1] for i in self.active])

    def in_targets(self) -> list[Ball]:
        """Derivatives with respect to the targets."""
        return [arb(0) if self.weights[i] == 0 else self.weights[i] * self.term(i)[0] for i in self.classes]

    def in_alpha(self) -> list[Ball]:
        """Derivatives with respect to the class weights."""
        return [arb(0) if self.targets[i] == 0 else self.targets[i] * self.term(i)[0] for i in self.classes]

    def _factor(self, i: int) -> Ball:
        return self.targets[i] * self.weights[i]


def _sum(numbers: Sequence[Ball], leave_out: tuple[int, ...] = ()) -> Ball:
    total = arb(0)
    for i, number in enumerate(numbers):
        if i not in leave_out:
            total += number
    return total
