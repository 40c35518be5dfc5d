"""The primitives of the closed forms as Numba functions that LLVM vectorises.

``np.exp`` and ``np.log1p`` inside a Numba loop are calls into a scalar mathematics library (some 70 million a second);
these are straight-line arithmetic, so a loop over them becomes AVX2 or AVX-512 code. What keeps it so: no branch (a
conditional expression becomes a selection), no integer wider than the float (every int32 result is wrapped, else Numba
widens it), and a fused multiply-add only where the processor has one: without the hardware it is a library call, forty
times slower.
"""

from functools import cache

import numpy as np
from llvmlite import binding, ir
from numba import config, types
from numba.extending import intrinsic

from focal_ref._formulas import Primitives
from focal_ref._kernels.compilation import compiled
from focal_ref._kernels.elementary import Instructions, elementary_primitives


def has_fused_multiply_add() -> bool:
    """Whether this processor multiplies and adds with one rounding in one instruction."""
    if binding.get_process_triple().startswith(("aarch64", "arm64")):
        return True
    # What Numba compiles for may be told by NUMBA_CPU_FEATURES.
    if config.CPU_FEATURES is not None:
        return "+fma" in config.CPU_FEATURES.split(",")
    return bool(binding.get_host_cpu_features().get("fma", False))


@intrinsic
def _fused_multiply_add(typing_context, a, b, c):
    def generate(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return a(a, a, a), generate


@intrinsic
def absolute(typing_context, value):
    """Clear the sign bit: ``abs`` as one instruction."""

    def generate(context, builder, signature, arguments):
        function = builder.module.declare_intrinsic("llvm.fabs", [arguments[0].type])
        return builder.call(function, arguments)

    return value(value), generate


_BITCASTS = {
    types.float64: (types.int64, ir.IntType(64)),
    types.float32: (types.int32, ir.IntType(32)),
    types.int64: (types.float64, ir.DoubleType()),
    types.int32: (types.float32, ir.FloatType()),
}


@intrinsic
def bitcast(typing_context, value):
    """Reinterpret a float as the integer of the same width, or the reverse."""
    result, llvm_type = _BITCASTS[value]

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], llvm_type)

    return result(value), generate


@compiled
def _separate_multiply_add(a, b, c):
    return a * b + c


@compiled
def _fused(a, b, c):
    return _fused_multiply_add(a, b, c)


@intrinsic
def where(typing_context, condition, first, second):
    """Select between two values of one type. A conditional expression would be a branch to jump over, and stay one."""

    def generate(context, builder, signature, arguments):
        return builder.select(*arguments)

    return first(types.boolean, first, first), generate


@cache
def kernel_primitives(dtype: str, fused: bool) -> Primitives:
    """Primitives for scalars of one working format inside a Numba kernel.

    Parameters
    ----------
    dtype
        "float64" or "float32".
    fused
        Whether to use fused multiply-adds; see `has_fused_multiply_add`.
    """
    return elementary_primitives(dtype, kernel_instructions(dtype, fused))


def kernel_instructions(dtype: str, fused: bool) -> Instructions:
    """Numba's instructions; arguments as for `kernel_primitives`."""
    single = dtype == "float32"
    return Instructions(
        multiply_add=_fused if fused else _separate_multiply_add,
        fused=fused,
        absolute=absolute,
        where=where,
        bitcast=bitcast,
        number=np.float32 if single else np.float64,
        integer=np.int32 if single else np.int64,
        compiled=compiled,
    )
