"""Primitives of the softmax's closed forms as Numba functions: those of the other kernels, and logarithms of any size.

All but `power`, which is a call into a scalar mathematics library, are straight-line arithmetic that vectorises.

Loops over a part of an array read it through `element` and write it through `put`: a slice for each row would cost two
locked additions to the array's reference count, and an index that Numba cannot prove to be positive becomes a gather.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from focal_ref._formulas import Primitives
from focal_ref._kernels.compilation import compiled
from focal_ref._kernels.polynomials import FLOAT64
from focal_ref._kernels.primitives import bitcast, kernel_primitives

VANISHING = FLOAT64.vanishing
"""exp(-x) rounds to zero for every x from here on."""


@intrinsic
def element(typing_context, array, index):
    """Read ``array[index]`` of a one-dimensional contiguous array; the index is in range and not negative."""

    def generate(context, builder, signature, arguments):
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        return builder.load(builder.gep(view.data, [arguments[1]], inbounds=True))

    return array.dtype(array, types.int64), generate


@intrinsic
def put(typing_context, array, index, value):
    """Write ``array[index]``; arguments as for `element`."""

    def generate(context, builder, signature, arguments):
        view = context.make_array(signature.args[0])(context, builder, arguments[0])
        builder.store(arguments[2], builder.gep(view.data, [arguments[1]], inbounds=True))
        return context.get_dummy_value()

    return types.void(array, types.int64, array.dtype), generate


@compiled
def difference(a, b):
    """``high + low == a - b`` exactly, ``high`` being the rounded difference; NaN where one of them is infinite."""
    high = a - b
    part = high - a
    return high, (a - (high - part)) - (b + part)


@cache
def row_primitives(fused: bool) -> Primitives:
    """Primitives in float64 whose `log1p` takes any number >= 0, and `log` any >= 1.

    Parameters
    ----------
    fused
        Whether to use fused multiply-adds.
    """
    narrow = kernel_primitives("float64", fused)
    narrow_log1p: Any = narrow.log1p
    log2_high, log2_low, one = FLOAT64.log2_high, FLOAT64.log2_low, 1.0
    to_integer = FLOAT64.round_to_integer
    to_integer_bits = np.array([to_integer]).view(np.int64)[0]
    fraction_bits, bias = np.int64(52), np.int64(1023)

    @compiled
    def log1p(x):
        # log(1 + x) = n log 2 + log(1 + f) with 1 + x = 2^n (1 + f) and 0 <= f <= 1. f has what the addition cut off
        # from x, so that it is x itself where n is 0.
        total, lost = difference(x, -one)
        n = (bitcast(total) >> fraction_bits) - bias
        n_float = bitcast(n + to_integer_bits) - to_integer
        scale = bitcast((bias - n) << fraction_bits)
        f = (total * scale - one) + lost * scale
        return n_float * log2_high + (n_float * log2_low + narrow_log1p(f))

    @compiled
    def log(x):
        return log1p(x - one)

    @compiled
    def power(x, y):
        return x**y

    return replace(narrow, log1p=log1p, log=log, power=power)
