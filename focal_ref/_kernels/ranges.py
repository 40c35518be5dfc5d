"""Whether all numbers of a large array are in a range, in one pass that stores nothing."""

from typing import Any

from numpy.typing import NDArray

from focal_ref._kernels.compilation import kernel
from focal_ref._kernels.threads import in_parallel
from focal_ref._threads import get_num_threads

STEP = 4096


def all_within(values: NDArray[Any], lowest: int, highest: int) -> bool:
    """Whether every number is in a closed range; NaN is in none. An array that kernels cannot read has none either.

    Parameters
    ----------
    values
        Any shape.
    lowest, highest
        Numbers that the array's dtype can hold.
    """
    readable = values.flags.c_contiguous and values.flags.aligned and values.dtype.isnative
    if not readable or (values.dtype.kind == "f" and values.dtype.itemsize == 2) or values.dtype.kind not in "iuf":
        return False
    flat, number = values.reshape(-1), values.dtype.type
    first, last = number(lowest), number(highest)
    return in_parallel(
        lambda start, stop: bool(_within(flat[start:stop], first, last)), flat.size, STEP, get_num_threads()
    )


@kernel
def _within(values: Any, lowest: Any, highest: Any) -> bool:
    for start in range(0, values.size, STEP):
        piece = values[start : start + STEP]
        others = 0
        for index in range(piece.size):
            others += not ((piece[index] >= lowest) & (piece[index] <= highest))
        if others:
            return False
    return True
