"""Primitives of the softmax's closed forms as Numba functions: those of the other kernels, and logarithms of any size.

All but `power`, which is a call into a scalar mathematics library, are straight-line arithmetic that vectorises.

Loops over a part of an array read it through `element` and write it through `put`: a slice for each row would cost two
locked additions to the array's reference count, and an index that Numba cannot prove to be positive becomes a gather.
"""

from dataclasses import replace
from functools import cache
from typing import Any

from numba import types
from numba.extending import intrinsic

from focal_ref._formulas import Primitives
from focal_ref._kernels.compilation import compiled
from focal_ref._kernels.elementary import difference_form, row_elementary_primitives
from focal_ref._kernels.polynomials import FLOAT64
from focal_ref._kernels.primitives import kernel_instructions

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


difference: Any = difference_form(compiled)
"""``difference(a, b) -> (high, low)`` with ``high + low == a - b`` exactly; NaN where one of them is infinite."""


@cache
def row_primitives(fused: bool) -> Primitives:
    """Primitives in float64 whose `log1p` takes any number >= 0, and `log` any >= 1.

    Parameters
    ----------
    fused
        Whether to use fused multiply-adds.
    """

    @compiled
    def power(x, y):
        return x**y

    return replace(row_elementary_primitives(kernel_instructions("float64", fused)), power=power)
