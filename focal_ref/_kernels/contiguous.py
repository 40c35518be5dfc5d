"""One pass over contiguous logits with dense targets or labels: losses, derivatives and sums.

The pass walks pieces that stay in the first-level cache. For each it turns the targets into one byte an element, 1 for
a positive, runs the loop of `focal_ref._kernels.dense`, and adds the losses up where a sum is asked for. So nothing of
the size of the logits is stored but what the caller gets.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba import types

from focal_ref._kernels.compilation import Function, kernel_of, loop
from focal_ref._kernels.dense import STORAGE_TYPES, Written, dense_loop, lower_part, storer, tree_sum
from focal_ref._parameters import IGNORE

PIECE = 2048
"""Elements a piece: 16 KiB of unrounded losses."""

PIECES_A_RUN = 64
RUN = PIECES_A_RUN * PIECE
"""Elements that one sum is made of; a call makes one for each run, so that sums do not depend on how it is cut."""


@loop
def sum_of(losses, size, wide):
    """Sum of ``losses[:size]`` in float64, in the order of `tree_sum`; `wide` holds half as many."""
    if size < 2:
        return np.float64(losses[0])
    half = lower_part(size)
    lower, upper = losses[:half], losses[half:size]
    for index in range(upper.size):
        wide[index] = np.float64(lower[index]) + np.float64(upper[index])
    for index in range(upper.size, half):
        wide[index] = np.float64(lower[index])
    return tree_sum(wide, half)


@dataclass(frozen=True)
class Variant:
    """What one compiled pass is made for.

    Attributes
    ----------
    logits
        Format of the logits, a key of `focal_ref._kernels.dense.STORAGE_TYPES`.
    targets
        Name of the targets' dtype, "bool" included.
    encoding
        "binary", "signed" or "labels", as in `Parameters`.
    arithmetic
        "float64" or "float32".
    exponent
        A member of `focal_ref._formulas.SPECIAL_EXPONENTS`, or None for any gamma.
    written
        Which results are written.
    summed
        Whether the losses are added up; they are not written then.
    narrowed
        Whether the losses end up in a format narrower than float64.
    """

    logits: str
    targets: str
    encoding: str
    arithmetic: str
    exponent: float | None
    written: Written
    summed: bool
    narrowed: bool


@cache
def contiguous_kernel(variant: Variant) -> Any:
    """Compile one pass.

    Returns
    -------
    callable
        ``kernel(first, logits, targets, classes, numbers..., value, gradient, second, sums)``, which says whether all
        targets were hard; at the first that is not, it ends. All arrays are one-dimensional; `logits` and results are
        those from element `first` on, as are dense targets, but labels are all labels, of `classes` logits each. The
        numbers are those of `focal_ref._kernels.dense.dense_loop`. `sums` receives one sum for each `RUN`.
    """
    labelled, summed = variant.encoding == "labels", variant.summed
    # In the arithmetic's own format: a wider one would halve how many the loop computes at once.
    written = variant.written._replace(value=variant.arithmetic) if summed else variant.written
    # The type, not the dtype: a kernel that refers to a dtype has no fingerprint, and is not kept on the disk.
    losses_dtype: Any = np.dtype(variant.arithmetic).type
    inner = dense_loop(variant.logits, variant.arithmetic, variant.exponent, written, narrowed=variant.narrowed)
    flags = _flags_of_labels() if labelled else _flags_of_targets(variant.targets, variant.encoding)
    blanks = [_blank(format_ or variant.logits, format_ is not None and labelled) for format_ in written]
    blank_value, blank_gradient, blank_second = blanks
    with_value, with_gradient, with_second = (format_ is not None for format_ in variant.written)

    working = STORAGE_TYPES[variant.arithmetic]
    outputs = [types.Array(STORAGE_TYPES[format_ or variant.logits], 1, "C") for format_ in variant.written]
    signature = types.boolean(
        types.int64,
        types.Array(STORAGE_TYPES[variant.logits], 1, "C", readonly=True),
        types.Array(_target_type(variant.targets), 1, "C", readonly=True),
        types.int64,
        *[working] * 5,
        *outputs,
        types.Array(types.float64, 1, "C"),
    )

    @kernel_of(signature)
    def kernel(
        first,
        logits,
        targets,
        classes,
        positive_weight,
        negative_weight,
        gamma,
        gamma_tail,
        upstream,
        value,
        gradient,
        second,
        sums,
    ):
        numbers = (positive_weight, negative_weight, gamma, gamma_tail, upstream)
        positive = np.empty(PIECE, np.uint8)
        losses = np.empty(PIECE if summed else 0, losses_dtype)
        wide = np.empty(PIECE // 2 if summed else 0, np.float64)
        piece_sums = np.empty(PIECES_A_RUN, np.float64)
        count = 0
        for start in range(0, logits.size, PIECE):
            stop = min(start + PIECE, logits.size)
            size = stop - start
            if not flags(targets, classes, first, start, stop, positive):
                return False
            given = logits[start:stop], positive[:size], numbers
            slopes = gradient[start:stop] if with_gradient else gradient
            curvatures = second[start:stop] if with_second else second
            if summed:
                inner(*given, losses, slopes, curvatures)
                blank_value(targets, classes, first + start, losses[:size])
                piece_sums[count] = sum_of(losses, size, wide)
                count += 1
                if stop % RUN == 0 or stop == logits.size:
                    sums[(stop - 1) // RUN] = tree_sum(piece_sums, count)
                    count = 0
            else:
                values = value[start:stop] if with_value else value
                inner(*given, values, slopes, curvatures)
                blank_value(targets, classes, first + start, values)
            blank_gradient(targets, classes, first + start, slopes)
            blank_second(targets, classes, first + start, curvatures)
        return True

    return kernel


def _target_type(dtype: str) -> Any:
    if dtype in ("float16", "bfloat16"):
        return types.uint16
    return types.uint8 if dtype == "bool" else getattr(types, dtype)


@loop
def _copied_flags(targets, classes, first, start, stop, positive):
    # Loops, here and below: what Numba makes of an assignment to a slice does not vectorise.
    piece = targets[start:stop]
    for index in range(piece.size):
        positive[index] = piece[index]
    return True


def _flags_of_targets(dtype: str, encoding: str) -> Any:
    """Compile the reading of dense targets, which says whether all are hard."""
    if dtype == "bool":
        return _copied_flags
    one, low, equal_to = _hard_targets(dtype, -1 if encoding == "signed" else 0)

    @loop
    def flags(targets, classes, first, start, stop, positive):
        piece = targets[start:stop]
        others = 0
        for index in range(piece.size):
            is_positive = piece[index] == one
            positive[index] = is_positive
            others += not (is_positive | equal_to(piece[index], low))
        return others == 0

    return flags


def _hard_targets(dtype: str, low: int) -> tuple[Any, Any, Function]:
    """The two hard targets as a kernel reads them, and how one is compared with the lower of them."""
    if dtype not in ("float16", "bfloat16"):
        number: Any = np.dtype(dtype).type
        return number(1), number(low), _equal
    one = np.uint16(0x3C00 if dtype == "float16" else 0x3F80)
    sign = np.uint16(0x8000)
    if low:
        return one, np.uint16(one | sign), _equal
    return one, np.uint16(0), _zero_of_any_sign


@loop
def _equal(target, other):
    return target == other


@loop
def _zero_of_any_sign(target, other):
    return (target & np.uint16(0x7FFF)) == other


def _flags_of_labels() -> Any:
    @loop
    def flags(labels, classes, first, start, stop, positive):
        size = stop - start
        for index in range(size):
            positive[index] = 0
        begin = first + start
        for row in range(begin // classes, (begin + size - 1) // classes + 1):
            label = np.int64(labels[row])
            place = row * classes + label - begin
            if 0 <= label < classes and 0 <= place < size:
                positive[place] = 1
        return True

    return flags


@loop
def _nothing(labels, classes, begin, output):
    pass


def _blank(storage: str, needed: bool) -> Any:
    """Compile what writes zero for labels to ignore, and NaN for what is no label; nothing where not needed."""
    if not needed:
        return _nothing
    store, zero, nan = storer(storage), 0.0, float("nan")

    @loop
    def blank(labels, classes, begin, output):
        if output.size == 0:
            return
        for row in range(begin // classes, (begin + output.size - 1) // classes + 1):
            label = np.int64(labels[row])
            if label < -1 or label >= classes:
                result = store(zero if label == IGNORE else nan)
                for index in range(max(row * classes - begin, 0), min((row + 1) * classes - begin, output.size)):
                    output[index] = result

    return blank
