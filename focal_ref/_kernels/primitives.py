"""The primitives of the closed forms as Numba functions that LLVM vectorises.

``np.exp`` and ``np.log1p`` inside a Numba loop are calls into a scalar mathematics library (some 70 million a second);
these are straight-line arithmetic, so a loop over them becomes AVX2 or AVX-512 code. What keeps it so: no branch (a
conditional expression becomes a selection), no integer wider than the float (every int32 result is wrapped, else Numba
widens it), and a fused multiply-add only where the processor has one: without the hardware it is a library call, forty
times slower.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import config, types
from numba.extending import intrinsic

from focal_ref._formulas import Primitives
from focal_ref._kernels.compilation import compiled
from focal_ref._kernels.polynomials import FLOAT32, FLOAT64


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


def _horner(terms: list[str]) -> list[str]:
    """Lines of a polynomial of x in the fewest operations, each of which waits for the one before."""
    *lower, result = terms
    for term in reversed(lower):
        result = f"multiply_add({result}, x, {term})"
    return [f"return {result}"]


def _estrin(terms: list[str]) -> list[str]:
    """Lines of a polynomial of x with a multiplication more or two, but few operations that wait for one another."""
    lines: list[str] = []
    power = "x"
    while len(terms) > 1:
        pairs = [f"multiply_add({high}, {power}, {low})" for low, high in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[2 * len(pairs) :]
        if len(terms) > 1:
            lines.append(f"square_{len(lines)} = {power} * {power}")
            power = f"square_{len(lines) - 1}"
    return [*lines, f"return {terms[0]}"]


def _polynomial(
    scheme: Callable[[list[str]], list[str]], coefficients: tuple[Any, ...], multiply_add: Callable[..., Any]
) -> Callable[..., Any]:
    """Compile a polynomial, highest power first, unrolled: a loop over a tuple would not vectorise."""
    scope: dict[str, Any] = {"multiply_add": multiply_add}
    scope |= {f"c{power}": value for power, value in enumerate(reversed(coefficients))}
    lines = scheme([f"c{power}" for power in range(len(coefficients))])
    exec("\n    ".join(["def polynomial(x):", *lines]), scope)
    polynomial: Callable[..., Any] = compiled(scope["polynomial"])
    return polynomial


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
    single = dtype == "float32"
    number: Any = np.float32 if single else np.float64
    integer: Any = np.int32 if single else np.int64
    constants = FLOAT32 if single else FLOAT64
    multiply_add = _fused if fused else _separate_multiply_add
    precision = 24 if single else 53

    # Twice as many float32 fit into a register, which keeps the processor busy while one waits for another.
    scheme = _horner if single else _estrin

    def polynomial_of(coefficients: tuple[float, ...]) -> Callable[..., Any]:
        return _polynomial(scheme, tuple(number(value) for value in coefficients), multiply_add)

    exp_polynomial = polynomial_of(constants.exp)
    if single:
        log1p_polynomial = polynomial_of(FLOAT32.log1p)
    else:
        atanh_polynomial = polynomial_of(FLOAT64.atanh)
    log2_high, log2_low = number(-constants.log2_high), number(-constants.log2_low)
    log2_reciprocal, to_integer = number(constants.log2_reciprocal), number(constants.round_to_integer)
    vanishing, one, two = number(-constants.vanishing), number(1), number(2)
    fraction_bits, bias, offset = precision - 1, (127 if single else 1023), (64 if single else 512)
    offset_field, offset_reciprocal = integer((bias + offset) << fraction_bits), number(2.0**-offset)
    fraction_bits = integer(fraction_bits)
    splitter = number(4097 if single else 134217729)

    @compiled
    def exp(x):
        # For x <= 0 alone, which is all that the closed forms ask for. exp(x) = 2^n exp(r), r = x - n log 2: the
        # integer n is what the low bits of x / log 2 + 1.5 2^52 have grown by, and shifting these into the exponent
        # field leaves nothing of the constant. 2^n is applied in two steps, 2^(n + offset) and 2^-offset, so that a
        # subnormal result is rounded once.
        x = where(x < vanishing, vanishing, x)
        shifted = multiply_add(x, log2_reciprocal, to_integer)
        n_float = shifted - to_integer
        r = multiply_add(n_float, log2_high, x)
        r = multiply_add(n_float, log2_low, r)
        mantissa = multiply_add(exp_polynomial(r), r * r, r) + one
        power = bitcast(integer(integer(bitcast(shifted) << fraction_bits) + offset_field))
        return mantissa * power * offset_reciprocal

    if single:

        @compiled
        def log1p(e):
            # For 0 <= e <= 1, without the division, which in float32 costs more than the further terms.
            return multiply_add(log1p_polynomial(e) * e, e, e)

    else:

        @compiled
        def log1p(e):
            # For 0 <= e <= 1: log(1 + e) = 2 atanh(e / (2 + e)), where the argument is at most 1/3.
            t = e / (two + e)
            u = t * t
            half = multiply_add(atanh_polynomial(u) * u, t, t)
            return half + half

    if fused:

        @compiled
        def two_prod(a, b):
            product = a * b
            return product, _fused_multiply_add(a, b, -product)

    else:

        @compiled
        def two_prod(a, b):
            # Dekker's product of Veltkamp's halves.
            product = a * b
            a_scaled = splitter * a
            b_scaled = splitter * b
            a_high = a_scaled - (a_scaled - a)
            b_high = b_scaled - (b_scaled - b)
            a_low = a - a_high
            b_low = b - b_high
            return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low

    return Primitives(
        exp=exp,
        log1p=log1p,
        absolute=absolute,
        where=where,
        two_prod=two_prod,
        number=number,
        largest=float(np.finfo(number).max),
        compiled=compiled,
    )
