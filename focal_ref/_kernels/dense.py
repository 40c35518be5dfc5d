"""Fused loops over dense binary targets: one pass reads a logit and writes its loss and gradient."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import types

from focal_ref._kernels.compilation import compiled, kernel, kernel_of, loop
from focal_ref._kernels.element import element_form
from focal_ref._kernels.primitives import bitcast, has_fused_multiply_add, kernel_primitives, where
from focal_ref._rounding import NARROW_FORMATS, rounder

STORAGE_TYPES = {
    "float64": types.float64,
    "float32": types.float32,
    "float16": types.uint16,
    "bfloat16": types.uint16,
}
"""How each format arrives in a kernel: Numba has no 16-bit floats on the CPU, so they come as their bits."""


@cache
def dense_kernel(
    storage: str,
    value_storage: str,
    arithmetic: str,
    exponent: float | None,
    with_value: bool,
    with_gradient: bool,
    fused: bool | None = None,
    *,
    gradient_storage: str | None = None,
    narrowed: bool | None = None,
) -> Any:
    """Compile the loop for one combination of formats.

    Parameters
    ----------
    storage
        Format of the logits, a key of `STORAGE_TYPES`.
    value_storage
        Format of the values; "float64" keeps them unrounded, for sums.
    arithmetic
        "float64" or "float32".
    exponent
        A member of `focal_ref._formulas.SPECIAL_EXPONENTS`, or None for any gamma.
    with_value, with_gradient
        Which outputs are written; the array of the other one is not touched.
    fused
        Whether to use fused multiply-adds; by default where the processor has them.
    gradient_storage
        Format of the gradient where it is not that of the logits; "float64" keeps it unrounded.
    narrowed
        Whether the values end up in a format narrower than float64; by default, whether `value_storage` is one.

    Returns
    -------
    callable
        ``kernel(logits, positive, positive_weight, negative_weight, gamma, gamma_tail, upstream, value, gradient)``
        over one-dimensional contiguous arrays; ``positive`` is uint8 and ``upstream`` multiplies the gradient.
    """
    gradient_storage = gradient_storage or storage
    narrowed = value_storage != "float64" if narrowed is None else narrowed
    written = Written(value_storage if with_value else None, gradient_storage if with_gradient else None)
    inner = dense_loop(storage, arithmetic, exponent, written, narrowed=narrowed, fused=fused)

    working = STORAGE_TYPES[arithmetic]
    read = types.Array(STORAGE_TYPES[storage], 1, "C", readonly=True)
    read_targets = types.Array(types.uint8, 1, "C", readonly=True)
    write_value = types.Array(STORAGE_TYPES[value_storage], 1, "C")
    write_gradient = types.Array(STORAGE_TYPES[gradient_storage], 1, "C")
    signature = types.void(read, read_targets, working, working, working, working, working, write_value, write_gradient)

    @kernel_of(signature)
    def kernel(logits, positive, positive_weight, negative_weight, gamma, gamma_tail, upstream, value, gradient):
        numbers = (positive_weight, negative_weight, gamma, gamma_tail, upstream)
        inner(logits, positive, numbers, value, gradient, gradient)

    return kernel


class Written(NamedTuple):
    """Which results a loop writes, each in which format; None leaves one out."""

    value: str | None = None
    gradient: str | None = None
    second: str | None = None


def dense_loop(
    storage: str,
    arithmetic: str,
    exponent: float | None,
    written: Written,
    *,
    narrowed: bool,
    fused: bool | None = None,
) -> Any:
    """Build the loop that kernels call; arguments as for `dense_kernel`.

    Returns
    -------
    callable
        ``loop(logits, positive, numbers, value, gradient, second)`` with the numbers ``(positive_weight,
        negative_weight, gamma, gamma_tail, upstream)`` in the arithmetic's format. The upstream factor multiplies
        gradient and second derivative.
    """
    if fused is None:
        fused = has_fused_multiply_add()
    with_value, with_gradient, with_second = (format_ is not None for format_ in written)
    element = element_form(
        kernel_primitives(arithmetic, fused),
        exponent,
        narrowed=narrowed and arithmetic == "float64",
        with_value=with_value,
        with_gradient=with_gradient,
        with_second=with_second,
    )
    load = _loader(storage, arithmetic)
    store_value, store_gradient, store_second = (storer(format_ or storage) for format_ in written)

    @loop
    def run(logits, positive, numbers, value, gradient, second):
        positive_weight, negative_weight, gamma, gamma_tail, upstream = numbers
        for index in range(logits.size):
            loss, slope, curvature = element(
                load(logits[index]), positive[index] != 0, positive_weight, negative_weight, gamma, gamma_tail, upstream
            )
            if with_value:
                value[index] = store_value(loss)
            if with_gradient:
                gradient[index] = store_gradient(slope)
            if with_second:
                second[index] = store_second(curvature)

    return run


@compiled
def lower_part(size: Any) -> Any:
    """The largest power of two below a size of two or more."""
    half = 1
    while 2 * half < size:
        half *= 2
    return half


@kernel
def tree_sum(terms: Any, size: Any) -> Any:
    """Sum ``terms[:size]`` by halving, in place: the error grows with log2(size), whatever the vector width.

    The lower part is a power of two, so that the sum is that of the terms filled up with zeros to any power of two,
    which kernels for GPUs take.
    """
    if size == 0:
        return 0.0
    while size > 1:
        half = lower_part(size)
        # As arrays of their own, which LLVM can tell apart.
        lower, upper = terms[:half], terms[half:size]
        for index in range(upper.size):
            lower[index] += upper[index]
        size = half
    return terms[0]


def _loader(storage: str, arithmetic: str) -> Any:
    """Compile the conversion from a stored logit to the working format; it is exact."""
    number: Any = np.float32 if arithmetic == "float32" else np.float64
    int32 = np.int32
    if storage == "bfloat16":
        shift = int32(16)

        @compiled
        def load(stored):
            return number(bitcast(int32(int32(stored) << shift)))

    elif storage == "float16":
        # Moved to the exponent field of a float32 the number is 2^112 too small; multiplying is exact, also for
        # subnormals. Infinities and NaN get the exponent of all ones that they need.
        magnitude_mask, infinity, field, sign_field = int32(0x7FFF), int32(0x7C00), int32(0x7F800000), int32(0x8000)
        fraction_shift, sign_shift = int32(13), int32(16)
        rebias = np.float32(2.0**112)

        @compiled
        def load(stored):
            bits = int32(stored)
            magnitude = int32(int32(bits & magnitude_mask) << fraction_shift)
            sign = int32(int32(bits & sign_field) << sign_shift)
            finite = bitcast(magnitude) * rebias
            special = bitcast(int32(magnitude | field))
            widened = where(int32(bits & magnitude_mask) >= infinity, special, finite)
            return number(bitcast(int32(bitcast(widened) | sign)))

    else:

        @compiled
        def load(stored):
            return number(stored)

    return load


def storer(storage: str) -> Any:
    """Compile the one rounding from the working format to a stored result."""
    if storage in ("float16", "bfloat16"):
        round_bits = compiled(rounder(NARROW_FORMATS[storage], where, np.int64))

        @compiled
        def store(value):
            return np.uint16(round_bits(bitcast(np.float64(value))))

    else:
        number: Any = np.float32 if storage == "float32" else np.float64

        @compiled
        def store(value):
            return number(value)

    return store
