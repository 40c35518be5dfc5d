"""exp and log1p as straight-line arithmetic, built from a handful of instructions: the primitives of compiled loops.

The instructions are Numba's in loops on the CPU (`focal_ref._kernels.primitives`), or record themselves, to be written
down in a language for GPUs (`focal_ref._kernels.expressions`). Both do the same operations in the same order, so where
both have fused multiply-adds they give the same bits.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from focal_ref._formulas import Number, Primitives
from focal_ref._kernels.polynomials import FLOAT32, FLOAT64


@dataclass(frozen=True)
class Instructions:
    """What exp and log1p are built from, for scalars of one working format.

    Attributes
    ----------
    multiply_add
        ``a * b + c``, with one rounding if `fused`, else with two.
    fused
        Whether `multiply_add` rounds once.
    absolute, where
        As in `Primitives`.
    bitcast
        A float as the integer of the same width, or the reverse.
    number, integer
        Turn a number into a constant of the working format, or of the integers as wide; `integer` also brings the
        result of an operation on such integers back to their width.
    compiled
        As in `Primitives`.
    """

    multiply_add: Callable[..., Number]
    fused: bool
    absolute: Callable[[Number], Number]
    where: Callable[..., Number]
    bitcast: Callable[[Number], Number]
    number: Callable[[Any], Number]
    integer: Callable[[Any], Number]
    compiled: Callable[[Callable[..., Any]], Callable[..., Any]]


def elementary_primitives(dtype: str, instructions: Instructions) -> Primitives:
    """Build primitives, whose `exp` is for numbers <= 0 and whose `log1p` for those of [0, 1].

    Parameters
    ----------
    dtype
        The working format, "float64" or "float32".
    instructions
        What to build them from.
    """
    single = dtype == "float32"
    constants = FLOAT32 if single else FLOAT64
    number, integer, where, compiled = (
        instructions.number,
        instructions.integer,
        instructions.where,
        instructions.compiled,
    )
    multiply_add, bitcast = instructions.multiply_add, instructions.bitcast
    precision = 24 if single else 53

    # Twice as many float32 fit into a register, which keeps the processor busy while one waits for another.
    scheme = _horner if single else _estrin

    def polynomial_of(coefficients: tuple[float, ...]) -> Callable[..., Any]:
        return _polynomial(scheme, tuple(number(value) for value in coefficients), instructions)

    exp_polynomial = polynomial_of(constants.exp)
    if single:
        log1p_polynomial = polynomial_of(FLOAT32.log1p)
    else:
        atanh_polynomial = polynomial_of(FLOAT64.atanh)
    log2_high, log2_low = number(-constants.log2_high), number(-constants.log2_low)
    log2_reciprocal, to_integer = number(constants.log2_reciprocal), number(constants.round_to_integer)
    vanishing, one, two = number(-constants.vanishing), number(1), number(2)
    fraction_width, bias, offset = precision - 1, (127 if single else 1023), (64 if single else 512)
    offset_field, offset_reciprocal = integer((bias + offset) << fraction_width), number(2.0**-offset)
    fraction_bits = integer(fraction_width)

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

    return Primitives(
        exp=exp,
        log1p=log1p,
        absolute=instructions.absolute,
        where=where,
        two_prod=_two_prod(instructions, number(4097 if single else 134217729)),
        number=number,
        largest=float(np.finfo(dtype).max),
        compiled=compiled,
    )


def difference_form(compiled: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Callable[..., Any]:
    """Build ``difference(a, b) -> (high, low)``."""

    @compiled
    def difference(a, b):
        """``high + low == a - b`` exactly, ``high`` being the rounded difference; NaN where one is infinite."""
        high = a - b
        part = high - a
        return high, (a - (high - part)) - (b + part)

    return difference


def row_elementary_primitives(instructions: Instructions) -> Primitives:
    """Build primitives in float64 whose `log1p` takes any number >= 0, and `log` any >= 1; without `power`."""
    number, integer, compiled, bitcast = (
        instructions.number,
        instructions.integer,
        instructions.compiled,
        instructions.bitcast,
    )
    narrow = elementary_primitives("float64", instructions)
    narrow_log1p, difference = narrow.log1p, difference_form(compiled)
    log2_high, log2_low, one = number(FLOAT64.log2_high), number(FLOAT64.log2_low), number(1)
    to_integer, minus_one = number(FLOAT64.round_to_integer), number(-1)
    to_integer_bits = integer(np.array([FLOAT64.round_to_integer]).view(np.int64)[0])
    fraction_bits, bias = integer(52), integer(1023)

    @compiled
    def log1p(x):
        # log(1 + x) = n log 2 + log(1 + f) with 1 + x = 2^n (1 + f) and 0 <= f <= 1. f has what the addition cut off
        # from x, so that it is x itself where n is 0.
        total, lost = difference(x, minus_one)
        n = (bitcast(total) >> fraction_bits) - bias
        n_float = bitcast(n + to_integer_bits) - to_integer
        scale = bitcast((bias - n) << fraction_bits)
        f = (total * scale - one) + lost * scale
        return n_float * log2_high + (n_float * log2_low + narrow_log1p(f))

    @compiled
    def log(x):
        return log1p(x - one)

    return replace(narrow, log1p=log1p, log=log)


def _two_prod(instructions: Instructions, splitter: Number) -> Callable[..., Any]:
    compiled, multiply_add = instructions.compiled, instructions.multiply_add
    if instructions.fused:

        @compiled
        def two_prod(a, b):
            product = a * b
            return product, multiply_add(a, b, -product)

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

    return two_prod


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
    scheme: Callable[[list[str]], list[str]], coefficients: tuple[Any, ...], instructions: Instructions
) -> Callable[..., Any]:
    """Build a polynomial, highest power first, unrolled: a loop over a tuple would not vectorise."""
    scope: dict[str, Any] = {"multiply_add": instructions.multiply_add}
    scope |= {f"c{power}": value for power, value in enumerate(reversed(coefficients))}
    lines = scheme([f"c{power}" for power in range(len(coefficients))])
    exec("\n    ".join(["def polynomial(x):", *lines]), scope)
    return instructions.compiled(scope["polynomial"])
