"""The operations that the closed forms are built from, and what an Array API namespace gives for them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Number = Any
"""An array of the caller's library, or a scalar inside a kernel: the forms are the same for both."""


def _missing(*_: Number) -> Number:
    raise NotImplementedError("these primitives leave this operation out")


@dataclass(frozen=True)
class Primitives:
    """The operations that a closed form is built from.

    Attributes
    ----------
    exp, log1p, absolute, where, log, power
        As in the Array API standard. Kernels, which see hard targets alone, leave `log` and `power` out.
    two_prod
        ``two_prod(a, b) -> (high, low)`` with ``high + low == a * b`` exactly, ``high`` being the rounded product.
    number
        Turns a Python float into a constant that does not widen the arithmetic.
    largest
        The largest finite number of the arithmetic.
    compiled
        Decorates each form; the identity, or a just-in-time compiler.
    """

    exp: Callable[[Number], Number]
    log1p: Callable[[Number], Number]
    absolute: Callable[[Number], Number]
    where: Callable[[Number, Number, Number], Number]
    two_prod: Callable[[Number, Number], tuple[Number, Number]]
    number: Callable[[float], Number]
    largest: float
    log: Callable[[Number], Number] = _missing
    power: Callable[..., Number] = _missing
    compiled: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function


def array_primitives(xp: Any, dtype: Any) -> Primitives:
    """Primitives of an Array API namespace for real floating-point arrays of one dtype."""
    info = xp.finfo(dtype)
    # Veltkamp's constant 2^ceil(precision / 2) + 1 splits a number into two halves whose products are exact.
    splitter = 134217729.0 if info.bits == 64 else 4097.0

    def halves(value: Number) -> tuple[Number, Number]:
        scaled = splitter * value
        high = scaled - (scaled - value)
        return high, value - high

    def two_prod(a: Number, b: Number) -> tuple[Number, Number]:
        product = a * b
        a_high, a_low = halves(a)
        b_high, b_low = halves(b)
        return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low

    return Primitives(
        exp=xp.exp,
        log1p=xp.log1p,
        absolute=xp.abs,
        where=xp.where,
        two_prod=two_prod,
        log=xp.log,
        power=xp.pow,
        number=float,
        largest=float(info.max),
    )
