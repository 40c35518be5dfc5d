"""Box coding, smooth L1, anchors and the losses of a detector, by mpmath at 50 digits.

>>> from focal_ref.conformance.detection.numeric import encoded, smooth_l1
>>> [float(number) for number in encoded([0, 0, 20, 10], [0, 0, 10, 10])]
[0.5, 0.0, 0.6931471805599453, 0.0]
>>> float(smooth_l1(0.0, 3.0, 1.0))
2.5
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from mpmath import mp

from focal_ref.conformance import oracle as focal
from focal_ref.conformance.detection.oracle import Box

__all__ = [
    "ANCHOR_LEVELS",
    "CLAMP",
    "anchor_count",
    "anchor_sides",
    "background_sum",
    "decoded",
    "encoded",
    "focal_loss",
    "normalized",
    "smooth_l1",
    "smooth_l1_slope",
]

Number = Any
"""An ``mpmath.mpf``."""

DIGITS = 50

CLAMP = Fraction(1000, 16)
"""Largest factor by which decoding enlarges a side."""

ANCHOR_LEVELS = (3, 4, 5, 6, 7)
"""Levels of the pyramid; level l has a stride of 2^l and anchors of size 2^(l + 2)."""

Weights = Sequence[float]


def _mpf(number: float | Fraction) -> Number:
    exact = Fraction(number)
    return mp.mpf(exact.numerator) / exact.denominator


def _centre_form(box: Box, offset: int) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    x1, y1, x2, y2 = map(Fraction, box)
    width, height = x2 - x1 + offset, y2 - y1 + offset
    return x1 + width / 2, y1 + height / 2, width, height


def encoded(box: Box, anchor: Box, weights: Weights = (1, 1, 1, 1), offset: int = 0) -> list[Number]:
    """Deltas of a box to an anchor: centres in units of the anchor's sides, logarithms of the sides' ratios."""
    x, y, width, height = _centre_form(box, offset)
    ax, ay, aw, ah = _centre_form(anchor, offset)
    with mp.workdps(DIGITS):
        exact = [_mpf((x - ax) / aw), _mpf((y - ay) / ah), mp.log(_mpf(width / aw)), mp.log(_mpf(height / ah))]
        return [_mpf(weight) * number for weight, number in zip(weights, exact, strict=True)]


def decoded(
    deltas: Sequence[float], anchor: Box, weights: Weights = (1, 1, 1, 1), offset: int = 0, clamp: Fraction = CLAMP
) -> list[Number]:
    """The box of deltas to an anchor; sides grow at most by the factor `clamp`."""
    ax, ay, aw, ah = _centre_form(anchor, offset)
    with mp.workdps(DIGITS):
        dx, dy, dw, dh = (_mpf(d) / _mpf(w) for d, w in zip(deltas, weights, strict=True))
        limit = mp.log(_mpf(clamp))
        width, height = mp.exp(min(dw, limit)) * _mpf(aw), mp.exp(min(dh, limit)) * _mpf(ah)
        x, y = dx * _mpf(aw) + _mpf(ax), dy * _mpf(ah) + _mpf(ay)
        return [x - width / 2, y - height / 2, x + width / 2 - offset, y + height / 2 - offset]


def smooth_l1(prediction: float, target: float, beta: float | Fraction) -> Fraction:
    """d^2 / (2 beta) for d < beta, d - beta / 2 beyond; for beta = 0 the distance d itself."""
    distance, beta = abs(Fraction(prediction) - Fraction(target)), Fraction(beta)
    return distance * distance / (2 * beta) if distance < beta else distance - beta / 2


def smooth_l1_slope(prediction: float, target: float, beta: float | Fraction) -> Fraction:
    """Derivative in the prediction; 0 at the kink of beta = 0."""
    difference, beta = Fraction(prediction) - Fraction(target), Fraction(beta)
    if abs(difference) < beta:
        return difference / beta
    return Fraction((difference > 0) - (difference < 0))


def focal_loss(logit: float, is_class: bool, alpha: float = 0.25, gamma: float = 2.0) -> Number:
    """The focal loss of one logit, from the oracle of the loss."""
    return focal.loss(float(logit), int(is_class), alpha, gamma)


def background_sum(elements: int, prior: Fraction = Fraction(1, 100), alpha: Fraction = Fraction(1, 4)) -> Number:
    """Sum of the losses of the first step: background everywhere, every probability the prior; gamma is 2."""
    with mp.workdps(DIGITS):
        return -elements * _mpf((1 - alpha) * prior**2) * mp.log(_mpf(1 - prior))


def normalized(sums: Sequence[Fraction], positives: Sequence[int], rule: str) -> Fraction:
    """A loss of a batch from the sums and the numbers of positive anchors of its pictures.

    "per_picture" divides the sum of each picture by its positives, but at least by 1, and takes the mean. "batch"
    divides the sum of all by all positives, but at least by 1; "plus_one" by one more, "plus_one_per_picture" by one
    more a picture.
    """
    total, count = sum(map(Fraction, sums), Fraction(0)), sum(positives)
    if rule == "per_picture":
        terms = [Fraction(s) / max(1, n) for s, n in zip(sums, positives, strict=True)]
        return sum(terms, Fraction(0)) / len(terms)
    more = {"batch": 0, "plus_one": 1, "plus_one_per_picture": len(sums)}[rule]
    return total / max(1, count + more)


def anchor_count(height: int, width: int, a_cell: int = 9, levels: Sequence[int] = ANCHOR_LEVELS) -> int:
    """Anchors of a picture: every level has a grid of its size divided by the stride, rounded up."""
    return a_cell * sum(-(-height // (1 << level)) * -(-width // (1 << level)) for level in levels)


def anchor_sides(level: int, octave: int, ratio: Fraction) -> tuple[Number, Number]:
    """Width and height of an anchor: area (2^(level + 2) 2^(octave / 3))^2, `ratio` is height to width."""
    with mp.workdps(DIGITS):
        size = mp.mpf(2) ** (level + 2 + mp.mpf(octave) / 3)
        root = mp.sqrt(_mpf(ratio))
        return size / root, size * root
