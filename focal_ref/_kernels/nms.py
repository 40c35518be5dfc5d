"""Greedy non-maximum suppression as a Numba loop: O(boxes) memory, and each box meets only boxes of its own label."""

from functools import cache
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from focal_ref._kernels.compilation import kernel_of
from focal_ref._kernels.overlaps import union_of

Array = NDArray[Any]


def suppress(boxes: Array, labels: Array, *, threshold: float, offset: int, limit: int) -> Array:
    """Positions of the boxes that are kept, the first `limit` of them.

    Parameters
    ----------
    boxes
        Shape (B, 4), float32 or float64, in the order in which they are decided; finite and with an area.
    labels
        Shape (B,), integers; boxes of different labels do not suppress each other.
    threshold
        A box is suppressed by a kept one with which its IoU is above it, in the boxes' dtype.
    offset
        Added to widths and heights.
    limit
        When so many are kept, the rest is not looked at.

    Returns
    -------
    array
        int64, ascending.
    """
    kept = np.empty(min(limit, len(boxes)), dtype=np.int64)
    values, compact = np.unique(labels, return_inverse=True)
    number = boxes.dtype.type
    loop = _kernel(boxes.dtype.name)
    last = np.full(len(values), -1, dtype=np.int64)
    count = loop(
        np.ascontiguousarray(boxes),
        compact.astype(np.int64, copy=False),
        last,
        number(threshold),
        number(offset),
        np.finfo(boxes.dtype).max,
        kept,
    )
    return kept[:count]


@cache
def _kernel(dtype: str) -> Any:
    """Compile the loop for one format of boxes."""
    number = types.float32 if dtype == "float32" else types.float64
    integers = types.Array(types.int64, 1, "C")
    signature = types.int64(types.Array(number, 2, "C"), integers, integers, number, number, number, integers)

    @kernel_of(signature)
    def kernel(boxes, labels, last, threshold, offset, largest, kept):
        # The kept boxes of each label are a chain: last[label] is its end, previous[box] the one before.
        previous = np.empty(boxes.shape[0], dtype=np.int64)
        areas = np.empty(boxes.shape[0], dtype=boxes.dtype)
        count = 0
        for box in range(boxes.shape[0]):
            if count == kept.size:
                break
            x1, y1, x2, y2 = boxes[box, 0], boxes[box, 1], boxes[box, 2], boxes[box, 3]
            # A product and the sum that it enters may be contracted into one operation with one rounding, and then a
            # decision at the threshold falls otherwise. A minimum in between needs the rounded product, and changes
            # none that is finite.
            area = min((x2 - x1 + offset) * (y2 - y1 + offset), largest)
            label = labels[box]
            other = last[label]
            while other >= 0:
                width = min(x2, boxes[other, 2]) - max(x1, boxes[other, 0]) + offset
                height = min(y2, boxes[other, 3]) - max(y1, boxes[other, 1]) + offset
                if width > 0 and height > 0:
                    intersection = min(width * height, largest)
                    if intersection / union_of(area, areas[other], intersection, True) > threshold:
                        break
                other = previous[other]
            if other < 0:
                areas[box] = area
                previous[box], last[label] = last[label], box
                kept[count] = box
                count += 1
        return count

    return kernel
