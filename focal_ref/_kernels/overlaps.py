"""Fused loops over anchors and ground truths: the best overlaps of each, without the matrix of all pairs.

Anchors that follow one another lie next to one another in the picture, so a short run of them has a small bounding
box, and a ground truth outside of it overlaps none of them: most pairs are never looked at.

Every box given to these loops is finite and has an area; rows that a mask excludes may hold anything.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_ref._kernels.compilation import compiled, kernel, loop
from focal_ref._kernels.primitives import where

Array = NDArray[Any]

RUN = 128
"""Anchors a run. Measured on 120,087 anchors x 500 boxes: 64 takes 1.9 times as long, 256 and 512 1.05 times."""


@compiled
def _least(a, b):
    return where(a < b, a, b)


@compiled
def _largest(a, b):
    return where(a > b, a, b)


@compiled
def union_of(area, other, intersection, exact):
    """`focal_ref.detection.boxes.union_of` of two numbers."""
    total = area + other
    back = total - area
    lost = (area - (total - back)) + (other - back)
    union = total - intersection
    return where(exact, union + lost, union)


@loop
def _load(anchors, anchor_valid, start, count, one, x1, y1, x2, y2, area):
    """Copy a run of anchors into rows; the run's bounding box."""
    infinite = anchors.dtype.type(np.inf)
    left = top = infinite
    right = bottom = -infinite
    for i in range(count):
        anchor = anchors[start + i]
        if anchor_valid[start + i]:
            x1[i], y1[i], x2[i], y2[i] = anchor[0], anchor[1], anchor[2], anchor[3]
            area[i] = (anchor[2] - anchor[0] + one) * (anchor[3] - anchor[1] + one)
            left, top = min(left, anchor[0]), min(top, anchor[1])
            right, bottom = max(right, anchor[2]), max(bottom, anchor[3])
        else:
            # Overlaps nothing.
            x1[i] = y1[i] = infinite
            x2[i] = y2[i] = -infinite
            area[i] = 1
    return left, top, right, bottom


@loop
def _apart(left, top, right, bottom, box, one):
    """Whether a box overlaps nothing that lies inside the bounding box."""
    width = min(right, box[2]) - max(left, box[0]) + one
    height = min(bottom, box[3]) - max(top, box[1]) + one
    return width <= 0 or height <= 0


@loop
def _compare(x1, y1, x2, y2, area, count, box, one, epsilon, exact, overlap):
    """Write the IoU of a box with each anchor of a run."""
    zero = one - one
    left, top, right, bottom = box[0], box[1], box[2], box[3]
    box_area = (right - left + one) * (bottom - top + one)
    for i in range(count):
        width = _largest(_least(x2[i], right) - _largest(x1[i], left) + one, zero)
        height = _largest(_least(y2[i], bottom) - _largest(y1[i], top) + one, zero)
        intersection = width * height
        overlap[i] = intersection / (union_of(area[i], box_area, intersection, exact) + epsilon)


def scratch(dtype: Any) -> tuple[Array, Array]:
    """Rows for a run of anchors and its overlaps, and the bits of the overlaps as integers."""
    rows = np.empty((6, RUN), dtype)
    return rows, rows[5].view(np.int32 if rows.itemsize == 4 else np.int64)


@cache
def best_overlaps(with_boxes: bool) -> Any:
    """Compile the pass that finds the best overlap of each anchor, and with `with_boxes` that of each box.

    Returns
    -------
    callable
        ``kernel(anchors, anchor_valid, boxes, box_valid, offset, epsilon, exact, best, best_box, by_box, first, rows,
        bits)`` on float32 or float64. It raises `best` (A,), and sets `best_box` (A,) to the first box that reaches it;
        `by_box` (G,) and `first` (G,) likewise, the first anchor. They come initialised with 0, and with what stands
        for no overlap. `rows` and `bits` are those of `scratch`.
    """

    @kernel
    def raise_best(
        anchors, anchor_valid, boxes, box_valid, offset, epsilon, exact, best, best_box, by_box, first, rows, bits
    ):
        one, eps = anchors.dtype.type(offset), anchors.dtype.type(epsilon)
        x1, y1, x2, y2, area, overlap = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5]
        for start in range(0, anchors.shape[0], RUN):
            count = min(RUN, anchors.shape[0] - start)
            left, top, right, bottom = _load(anchors, anchor_valid, start, count, one, x1, y1, x2, y2, area)
            run_best, run_box = best[start : start + count], best_box[start : start + count]
            for g in range(boxes.shape[0]):
                if not box_valid[g] or _apart(left, top, right, bottom, boxes[g], one):
                    continue
                _compare(x1, y1, x2, y2, area, count, boxes[g], one, eps, exact, overlap)
                for i in range(count):
                    better = overlap[i] > run_best[i]
                    run_best[i] = where(better, overlap[i], run_best[i])
                    run_box[i] = where(better, g, run_box[i])
                if with_boxes:
                    # Numbers that are not negative are in the order of their bits; the largest of integers vectorises.
                    largest = bits[0]
                    for i in range(1, count):
                        largest = max(largest, bits[i])
                    for i in range(count):
                        if bits[i] == largest:
                            if overlap[i] > by_box[g]:
                                by_box[g], first[g] = overlap[i], start + i
                            break

    return raise_best


@kernel
def tied_overlaps(anchors, anchor_valid, boxes, box_valid, offset, epsilon, exact, by_box, last, owner):
    """Set `owner` (A,) to the first, or with `last` the last, box whose best overlap `by_box` the anchor reaches.

    The overlaps are computed a second time by the same instructions, so that they are equal bit for bit.
    """
    one, eps = anchors.dtype.type(offset), anchors.dtype.type(epsilon)
    rows = np.empty((6, RUN), anchors.dtype)
    x1, y1, x2, y2, area, overlap = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5]
    for start in range(0, anchors.shape[0], RUN):
        count = min(RUN, anchors.shape[0] - start)
        left, top, right, bottom = _load(anchors, anchor_valid, start, count, one, x1, y1, x2, y2, area)
        run_owner = owner[start : start + count]
        for g in range(boxes.shape[0]):
            if not box_valid[g] or _apart(left, top, right, bottom, boxes[g], one):
                continue
            _compare(x1, y1, x2, y2, area, count, boxes[g], one, eps, exact, overlap)
            for i in range(count):
                takes = overlap[i] == by_box[g] and (last or run_owner[i] < 0)
                run_owner[i] = where(takes, g, run_owner[i])
