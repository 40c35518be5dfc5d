"""Fused loops over rows with a label: the softmax focal loss of each row, and its gradient.

What stands here is what a row adds to the closed forms of one class (`focal_ref._formulas.softmax_terms`): the largest
of the other logits, the exponentials of the differences to it, and their sum. The forms are evaluated for a batch of
rows at once, so that they vectorise as the loops over the classes do.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import types

from focal_ref._formulas.softmax_terms import margin_forms
from focal_ref._kernels.compilation import compiled, kernel_of, loop
from focal_ref._kernels.dense import STORAGE_TYPES, _loader, storer
from focal_ref._kernels.primitives import absolute, bitcast, has_fused_multiply_add, where
from focal_ref._kernels.row_primitives import VANISHING, difference, element, put, row_primitives
from focal_ref._parameters import IGNORE

BATCH = 64
"""Rows whose closed forms are evaluated together."""

PIECE = 1 << 12
"""Exponentials that are kept, 32 KiB: of a batch of rows, or of one row. Those of a longer row are computed twice."""

LANES = 8
"""Numbers that are added side by side, in whatever vectors the processor has."""

PADDING = 128
"""Numbers beyond the end of a row that may be read; and a processor takes reading one array 64 bytes behind where it
writes another, a multiple of 4096 apart, for reading what it writes."""

FIELDS = 10
SHARE, REFERENCE, TIES, OWN, REST, HIGH, LOW, VALUE, SLOPE, OTHERS = (BATCH * field for field in range(FIELDS))
"""Where each number of a batch's rows begins in one array: LLVM sees that the loop over the rows mixes up none."""


@cache
def softmax_kernel(
    storage: str,
    exponent: float | None,
    with_gradient: bool,
    fused: bool | None = None,
    *,
    gradient_storage: str | None = None,
) -> Any:
    """Compile the loop for one combination of formats; arithmetic is in float64.

    Parameters
    ----------
    storage
        Format of the logits, a key of `STORAGE_TYPES`.
    exponent
        A member of `focal_ref._formulas.SPECIAL_EXPONENTS`, or None for any gamma.
    with_gradient
        Whether the gradient is written; its array is not touched otherwise.
    fused
        Whether to use fused multiply-adds; by default where the processor has them.
    gradient_storage
        Format of the gradient where it is not that of the logits; "float64" keeps it unrounded.

    Returns
    -------
    callable
        ``kernel(logits, classes, labels, alpha, weights, upstream, gamma, narrowed, value, gradient)`` over
        one-dimensional contiguous arrays: logits and gradient of whole rows, `classes` >= 1 in each; int64 `labels` and
        float64 `value` of each row; `alpha` of each class or empty; `weights` and `upstream`, one factor a row or one
        for all. `narrowed` says whether the values are rounded to a narrower format next.
    """
    fused = has_fused_multiply_add() if fused is None else fused
    gradient_storage = gradient_storage or storage
    largest_other, exponentials, margin = _row_loops(storage, fused)
    evaluate = _batch_loop(exponent, fused)
    store = storer(gradient_storage)

    read = types.Array(STORAGE_TYPES[storage], 1, "C", readonly=True)
    read_labels = types.Array(types.int64, 1, "C", readonly=True)
    factors = types.Array(types.float64, 1, "C", readonly=True)
    write_value = types.Array(types.float64, 1, "C")
    write_gradient = types.Array(STORAGE_TYPES[gradient_storage], 1, "C")
    settings = (factors, factors, factors, types.float64, types.boolean)
    signature = types.void(read, types.int64, read_labels, *settings, write_value, write_gradient)

    @compiled
    def write(kept, start, k, factor, gradient, first, size):
        for index in range(size):
            put(gradient, first + index, store((element(kept, start + index) * k) * factor))

    @kernel_of(signature)
    def kernel(logits, classes, labels, alpha, weights, upstream, gamma, narrowed, value, gradient):
        batch, width, pieces = min(BATCH, max(1, PIECE // classes)), min(classes, PIECE), -(-classes // PIECE)
        kept, references = np.zeros(batch * width + PADDING), np.empty(batch * width + PADDING)
        terms, state = np.empty(width // LANES + PADDING), np.zeros(FIELDS * BATCH)
        sums = np.zeros(LANES * -(-pieces // LANES))
        for first in range(0, labels.size, batch):
            rows, block = min(batch, labels.size - first), first * classes
            for index in range(rows):
                label, weight = labels[first + index], weights[first + index if weights.size > 1 else 0]
                share, reference = _share(label, classes, alpha, weight), 0.0
                if share > 0.0:
                    reference = largest_other(logits, block + index * classes, classes, label)
                put(state, SHARE + index, share)
                put(state, REFERENCE + index, reference)
                _fill(references, PADDING + index * width, width, reference)
            for piece in range(pieces):
                start = piece * PIECE
                size = min(width, classes - start)
                exponentials(logits, block + start, rows * size, references, kept)
                for index in range(rows):
                    if element(state, SHARE + index) > 0.0:
                        own, total, ties = _apart(kept, index * width, size, labels[first + index] - start, terms)
                        put(state, OWN + index, own if piece == 0 else element(state, OWN + index) + own)
                        put(state, TIES + index, ties if piece == 0 else element(state, TIES + index) + ties)
                        sums[piece] = total
                        if piece == pieces - 1:
                            put(state, REST + index, _halved(sums, sums.size))
            for index in range(rows):
                margin(logits, block + index * classes, labels[first + index], state, index)
            evaluate(state, LANES * -(-rows // LANES), gamma, narrowed)
            for index in range(rows):
                value[first + index] = element(state, VALUE + index)
            if with_gradient:
                for index in range(rows):
                    begin, share = block + index * classes, element(state, SHARE + index)
                    factor = upstream[first + index if upstream.size > 1 else 0]
                    if share > 0.0:
                        slope = element(state, SLOPE + index)
                        k = slope / element(state, OTHERS + index)
                        for piece in range(pieces):
                            start = piece * PIECE
                            size = min(width, classes - start)
                            if pieces > 1:
                                exponentials(logits, begin + start, size, references, kept)
                            write(kept, index * width, k, factor, gradient, begin + start, size)
                        put(gradient, begin + labels[first + index], store(-slope * factor))
                    else:
                        _fill(gradient, begin, classes, store(share * factor))

    return kernel


@compiled
def _share(label, classes, alpha, weight):
    """Weight of the label: 0 for a row that does not count, NaN where label or weight are out of range."""
    if label == IGNORE:
        return 0.0
    if label < 0 or label >= classes or not 0.0 <= weight < np.inf:
        return np.nan
    return alpha[label] * weight if alpha.size else weight


@compiled
def _fill(array, start, size, value):
    for index in range(size):
        put(array, start + index, value)


@compiled
def _apart(kept, start, size, label, terms):
    """The label's exponential, which is set to 0, the sum of those that are not 1, and the number of those that are."""
    own = 0.0
    if 0 <= label < size:
        own = element(kept, start + label)
        put(kept, start + label, 0.0)
    total, ones = 0.0, 0
    if size < 2 * LANES:
        for index in range(size):
            exponential = element(kept, start + index)
            ones += where(exponential == 1.0, 1, 0)
            total += where(exponential == 1.0, 0.0, exponential)
        return own, total, float(ones)
    # Eight parts of the row are added to one, and what is left over, filled up with zeros, to eight numbers more: whole
    # vectors throughout, as loops over what is left would cost more than the zeros.
    length = LANES * (size // (LANES * LANES))
    further = LANES * min(size - LANES * length, 1)
    for index in range(length):
        term = 0.0
        for part in range(LANES):
            exponential = element(kept, start + part * length + index)
            ones += where(exponential == 1.0, 1, 0)
            term += where(exponential == 1.0, 0.0, exponential)
        put(terms, index, term)
    for index in range(further):
        term = 0.0
        for part in range(LANES):
            place = LANES * (length + part) + index
            exponential = where(place < size, element(kept, start + place), 0.0)
            ones += where(exponential == 1.0, 1, 0)
            term += where(exponential == 1.0, 0.0, exponential)
        put(terms, length + index, term)
    return own, _halved(terms, length + further), float(ones)


@compiled
def _halved(terms, size):
    """Sum of the first terms, a multiple of `LANES` of them, by halving, in place."""
    while size > LANES:
        half = LANES * -(-size // (2 * LANES))
        for index in range(size - half):
            put(terms, index, element(terms, index) + element(terms, half + index))
        size = half
    total = 0.0
    for index in range(LANES):
        total += element(terms, index)
    return total


@cache
def _row_loops(storage: str, fused: bool) -> tuple[Any, Any, Any]:
    """Compile what reads logits: the largest of a row but its label, exponentials, and the margin of the label."""
    load, exp = _loader(storage, "float64"), row_primitives(fused).exp
    key_of, number_of, lowest = _keys(storage)

    @compiled
    def largest_other(logits, start, size, label):
        # Of integers in the order of the numbers: LLVM leaves a maximum of floats scalar, as NaN has no place in it.
        largest = lowest
        for index in range(size):
            key = where(index == label, lowest, key_of(element(logits, start + index)))
            largest = where(key > largest, key, largest)
        return load(number_of(largest))

    @compiled
    def exponentials(logits, start, size, references, kept):
        # exp(z - r), which has no meaning for a label above the reference.
        for index in range(size):
            logit, reference = load(element(logits, start + index)), element(references, PADDING + index)
            high, low = difference(logit, reference)
            low = where(absolute(high) < VANISHING, low, 0.0)
            # The difference of infinities is NaN.
            e = exp(where(logit == reference, 0.0, high))
            put(kept, index, e + e * low)

    @compiled
    def margin(logits, start, label, state, index):
        # What is left of a row without a softmax is a share of NaN.
        high = low = own = rest = 0.0
        if element(state, SHARE + index) > 0.0:
            reference = element(state, REFERENCE + index)
            high, low = difference(load(element(logits, start + label)), reference)
            own, rest = where(high > 0.0, 0.0, element(state, OWN + index)), element(state, REST + index)
            # Counting those at the reference spares subtracting one of them from a sum to which the rest may be lost.
            ties = element(state, TIES + index)
            rest += max(ties - 1.0, 0.0)
            if np.isnan(high) or np.isnan(rest) or (reference == np.inf and ties > 1.0):
                put(state, SHARE + index, np.nan)
        put(state, HIGH + index, high)
        put(state, LOW + index, where(absolute(high) < np.inf, low, 0.0))
        put(state, OWN + index, own)
        put(state, REST + index, own + rest)

    return largest_other, exponentials, margin


@cache
def _batch_loop(exponent: float | None, fused: bool) -> Any:
    """Compile the closed forms over the rows of a batch."""
    primitives = row_primitives(fused)
    forms = margin_forms(primitives, exponent)
    either, wide_value, slope_of = forms.either, forms.value, forms.slope
    narrowed_value = margin_forms(primitives, exponent, narrowed=True).value

    @loop
    def evaluate(state, rows, gamma, narrowed):
        for index in range(rows):
            high, low = element(state, HIGH + index), element(state, LOW + index)
            share = element(state, SHARE + index)
            terms = either(high, low, element(state, OWN + index), element(state, REST + index), gamma)
            narrow = narrowed_value(terms, gamma, share)
            put(state, VALUE + index, where(narrowed, narrow, wide_value(terms, gamma, share)))
            put(state, SLOPE + index, share * slope_of(terms, gamma))
            put(state, OTHERS + index, terms[7])

    return evaluate


@cache
def _keys(storage: str) -> tuple[Any, Any, Any]:
    """Compile the mapping of stored numbers to integers of the same order, the way back, and the key of -inf."""
    wide = storage == "float64"
    integer: Any = np.int64 if wide else np.int32
    magnitude, sign = integer(np.iinfo(integer).max), integer(63 if wide else 31)
    infinity = {"float64": 0x7FF0 << 48, "float32": 0x7F80 << 16, "bfloat16": 0x7F80 << 16, "float16": 0x7C00 << 16}
    lowest = integer(~infinity[storage])

    @compiled
    def flipped(bits):
        return integer(bits ^ integer(integer(bits >> sign) & magnitude))

    if storage in ("float16", "bfloat16"):
        half = integer(16)

        # The sign at the top, as in the other formats.
        @compiled
        def key_of_half(stored):
            return flipped(integer(integer(stored) << half))

        @compiled
        def half_of_key(key):
            return np.uint16(integer(flipped(key) >> half))

        return key_of_half, half_of_key, lowest

    @compiled
    def key_of(stored):
        return flipped(bitcast(stored))

    @compiled
    def number_of(key):
        return bitcast(flipped(key))

    return key_of, number_of, lowest
