"""Pictures with boxes of whole corners, the same in every run."""

from fractions import Fraction
from typing import Any

import numpy as np

from focal_ref.conformance.targets import Array

ANCHORS, BOXES = 24, 5
"""How many of each a picture has, so that compiling targets meet one shape."""


def picture(seed: int, anchors: int = ANCHORS, boxes: int = BOXES) -> tuple[Array, Array]:
    """Ground truths, and anchors of which two thirds are ground truths with moved edges."""
    generator = np.random.default_rng([seed, 20170807])
    gt_boxes = _random(generator, boxes, 64, 40)
    near = gt_boxes[np.arange(2 * anchors // 3) % boxes] + generator.integers(-6, 7, (2 * anchors // 3, 4))
    near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
    others = _random(generator, anchors - len(near), 64, 40)
    return np.concatenate([near, others])[generator.permutation(anchors)], gt_boxes


def _random(generator: np.random.Generator, count: int, place: int, length: int) -> Array:
    first = generator.integers(0, place, (count, 2))
    return np.concatenate([first, first + generator.integers(4, length, (count, 2))], axis=1)


def grid(step: int = 8, cells: int = 4) -> Array:
    """Square cells of a picture, row by row: many anchors share every overlap."""
    corner = np.arange(cells) * step
    y, x = np.meshgrid(corner, corner, indexing="ij")
    return np.stack([x, y, x + step, y + step], axis=-1).reshape(-1, 4)


def filled(anchors: Any, boxes: Any) -> tuple[Array, Array]:
    """The same picture with as many anchors and boxes as all have: far away, every box with an anchor of its own."""
    anchors, boxes = np.asarray(anchors), np.asarray(boxes)
    more = np.array([[9000 + 100 * number, 0, 9010 + 100 * number, 10] for number in range(BOXES - len(boxes))])
    rest = np.array([[9000, 100 * number, 9010, 100 * number + 10] for number in range(1, ANCHORS)])
    more = more.reshape(-1, 4)
    return np.concatenate([anchors, more, rest])[:ANCHORS], np.concatenate([boxes, more])


def at_threshold(threshold: Fraction, offset: int = 0) -> tuple[Array, Array]:
    """Boxes apart from each other, each with an anchor at exactly the threshold, beside it, and the box itself."""
    anchors, boxes = [], []
    for number, (columns, height) in enumerate([(1, 10), (3, 7), (10, 10), (37, 101), (99, 199)]):
        left = 1000 * number
        width = threshold.denominator * columns
        part = threshold.numerator * columns
        boxes.append([left, 0, left + width - offset, height - offset])
        widths = {part, part - 1, part + 1, width} if columns > 1 else {part, width}
        anchors += [[left, 0, left + one - offset, height - offset] for one in sorted(widths)]
    return filled(anchors, boxes)
