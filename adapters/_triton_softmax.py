"""The softmax focal loss of rows with a label as one Triton kernel: losses and gradients, rows of any length.

As in `focal_ref._kernels.softmax`: what a row adds to the closed forms of one class is the largest of the other logits,
the exponentials of the differences to it, and their sum. A program walks its rows three times, in parts that the cache
of the device keeps. Not yet run on a GPU: tests run it in Triton's interpreter and compile it.
"""

from functools import cache
from typing import Any

import triton
import triton.language as tl

from focal_ref._kernels.expressions import EXPONENTIAL_ARGUMENTS, ROW_ARGUMENTS, exponential_lines, row_lines
from focal_ref._kernels.expressions import triton as triton_language
from focal_ref.adapters._triton_kernels import IGNORED, narrowed, number, readable, triton_function


@cache
def exponential_function() -> Any:
    """Compile exp(logit - reference), with the exact difference in two parts."""
    lines = exponential_lines(triton_language("float64"))
    return triton_function(EXPONENTIAL_ARGUMENTS, lines, ("value", "high", "low"))


@cache
def row_function(exponent: float, narrow: bool) -> Any:
    """Compile the closed forms of a row; arguments as for `focal_ref._kernels.expressions.row_lines`."""
    lines = row_lines(triton_language("float64"), exponent, narrowed=narrow)
    return triton_function(ROW_ARGUMENTS, lines, ("value", "slope", "others"))


@triton.jit
def exponential_of(EXPONENTIAL: tl.constexpr, logit, reference):
    """exp(logit - reference) alone."""
    exponential, _, _ = EXPONENTIAL(logit, reference)
    return exponential


@triton.jit(do_not_specialize=["gamma", "factor"])
def rows(
    logits,
    labels,
    shares,
    upstream,
    value,
    gradient,
    count,
    classes,
    row_stride,
    class_stride,
    upstream_stride,
    gamma,
    factor,
    EXPONENTIAL: tl.constexpr,
    ROW: tl.constexpr,
    WITH_SHARES: tl.constexpr,
    WITH_UPSTREAM: tl.constexpr,
    WITH_VALUE: tl.constexpr,
    WITH_GRADIENT: tl.constexpr,
    ROWS: tl.constexpr,
    PART: tl.constexpr,
):
    """Some rows. Labels, shares (weight of the label) and outputs are contiguous."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    inside = row < count
    begin = (row * row_stride)[:, None]
    label = tl.load(labels + row, inside, 0).to(tl.int64)
    is_class = (label >= 0) & (label < classes)
    if WITH_SHARES:
        share = tl.load(shares + row, inside, 0.0)
    else:
        share = tl.where(label == IGNORED, 0.0, tl.full((ROWS,), 1.0, tl.float64))
    share = tl.where(is_class | (label == IGNORED), share, float("nan"))
    factor = number(factor, tl.float64)
    if WITH_UPSTREAM:
        factor = tl.load(upstream + row * upstream_stride, inside, 0.0).to(tl.float64)

    reference = tl.full((ROWS,), float("-inf"), tl.float64)
    for start in range(0, classes, PART):
        column = start + tl.arange(0, PART)
        other = (column[None, :] != label[:, None]) & (column[None, :] < classes) & inside[:, None]
        at = begin + column[None, :].to(tl.int64) * class_stride
        part = readable(tl.load(logits + at, other, float("-inf"))).to(tl.float64)
        reference = tl.maximum(reference, tl.max(part, axis=1))

    own = tl.full((ROWS,), 0.0, tl.float64)
    total = tl.full((ROWS,), 0.0, tl.float64)
    ties = tl.full((ROWS,), 0.0, tl.float64)
    for start in range(0, classes, PART):
        column = start + tl.arange(0, PART)
        within = (column[None, :] < classes) & inside[:, None]
        is_label = column[None, :] == label[:, None]
        at = begin + column[None, :].to(tl.int64) * class_stride
        part = readable(tl.load(logits + at, within, 0.0)).to(tl.float64)
        exponential = exponential_of(EXPONENTIAL, part, reference[:, None])
        own += tl.sum(tl.where(within & is_label, exponential, 0.0), axis=1)
        # Counting those at the reference spares subtracting one of them from a sum to which the rest may be lost.
        exponential = tl.where(within & (is_label == 0), exponential, 0.0)
        ties += tl.sum(tl.where(exponential == 1.0, 1.0, 0.0), axis=1).to(tl.float64)
        total += tl.sum(tl.where(exponential == 1.0, 0.0, exponential), axis=1)

    own_place = row * row_stride + tl.where(is_class, label, 0) * class_stride
    logit = readable(tl.load(logits + own_place, inside, 0.0)).to(tl.float64)
    _, high, low = EXPONENTIAL(logit, reference)
    low = tl.where(tl.abs(high) < float("inf"), low, 0.0)
    own = tl.where(high > 0.0, 0.0, own)
    rest = total + tl.maximum(ties - 1.0, 0.0)
    undefined = (high != high) | (rest != rest) | ((reference == float("inf")) & (ties > 1.0))
    share = tl.where((share > 0.0) & undefined, float("nan"), share)
    loss, slope, others = ROW(high, low, own, own + rest, number(gamma, tl.float64), share)
    if WITH_VALUE:
        tl.store(value + row, narrowed(loss, value.dtype.element_ty), inside)
    if WITH_GRADIENT:
        k = slope / others
        for start in range(0, classes, PART):
            column = start + tl.arange(0, PART)
            within = (column[None, :] < classes) & inside[:, None]
            at = begin + column[None, :].to(tl.int64) * class_stride
            part = readable(tl.load(logits + at, within, 0.0)).to(tl.float64)
            exponential = exponential_of(EXPONENTIAL, part, reference[:, None])
            slopes = exponential * k[:, None] * factor[:, None] if WITH_UPSTREAM else exponential * k[:, None] * factor
            own_slope = slope * -1.0 * factor
            slopes = tl.where(column[None, :] == label[:, None], own_slope[:, None], slopes)
            without = share * factor
            slopes = tl.where((share > 0.0)[:, None], slopes, without[:, None])
            place = row[:, None] * classes + column[None, :]
            tl.store(gradient + place, narrowed(slopes, gradient.dtype.element_ty), within)
