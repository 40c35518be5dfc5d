"""Blocks of rows of NumPy arrays of any layout: views where the array is contiguous, copies of the block elsewhere.

The rows of an array are what its first axes, as many as `rank` says, hold in C order; an element of a row may be a
number or, along the further axes, several.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_ref._kernels.host import store

Array = NDArray[Any]


def row_count(array: Array, rank: int) -> int:
    """How many rows there are."""
    size = 1
    for length in array.shape[:rank]:
        size *= length
    return size


def blocks(rows: slice, length: int) -> Iterator[slice]:
    """Cut a range of rows into pieces of at most `length`."""
    for start in range(rows.start, rows.stop, length):
        yield slice(start, min(start + length, rows.stop))


def is_plain(array: Array) -> bool:
    """Whether kernels can take a view: contiguous, aligned, in native byte order."""
    return array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative


def read(array: Array, rank: int, rows: slice) -> Array:
    """Rows as an array with one axis of rows, contiguous: a view where possible."""
    if is_plain(array):
        view: Array = array.reshape(row_count(array, rank), *array.shape[rank:])[rows]
        return view
    block = np.empty((rows.stop - rows.start, *array.shape[rank:]), array.dtype.newbyteorder("="))
    for piece, target in _views(array, rank, rows, block):
        target[...] = piece
    return block


class Output:
    """An array that results are written to by blocks of rows."""

    def __init__(self, array: Array, rank: int) -> None:
        self._array = array
        self._rank = rank

    def block(self, rows: slice) -> Array:
        """Where to write the results of some rows, contiguous; `finish` brings them into the array."""
        if is_plain(self._array):
            return read(self._array, self._rank, rows)
        shape = rows.stop - rows.start, *self._array.shape[self._rank :]
        return np.empty(shape, self._array.dtype.newbyteorder("="))

    def finish(self, rows: slice, block: Array) -> None:
        """Copy what was written to `block`, unless it is a view."""
        if not is_plain(self._array):
            for target, piece in _views(self._array, self._rank, rows, block):
                target[...] = piece

    def write(self, rows: slice, wide: Array) -> None:
        """Round float64 results into some rows."""
        block = self.block(rows)
        store(np.ascontiguousarray(wide), block)
        self.finish(rows, block)


def _views(array: Array, rank: int, rows: slice, block: Array) -> Iterator[tuple[Array, Array]]:
    """Views of the array that make up some rows, and of the block of these rows, in equal shapes."""
    if rank == 0:
        array, rank = array[np.newaxis], 1
    if rows.stop <= rows.start:
        return
    inner = row_count(array[0], rank - 1)
    first, last = rows.start // inner, (rows.stop - 1) // inner
    if rows.start % inner == 0 and rows.stop % inner == 0:
        part = array[first : last + 1]
        yield part, block.reshape(part.shape)
        return
    # The rows begin or end inside an index of the first axis: as far as to the next index, and the rest.
    stop = min(rows.stop, (first + 1) * inner)
    if rows.start % inner == 0 and last > first:
        stop = last * inner
        yield from _views(array, rank, slice(rows.start, stop), block[: stop - rows.start])
    else:
        within = slice(rows.start - first * inner, stop - first * inner)
        yield from _views(array[first], rank - 1, within, block[: stop - rows.start])
    yield from _views(array, rank, slice(stop, rows.stop), block[stop - rows.start :])
