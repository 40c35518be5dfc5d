"""Proven roundings, and truth for many elements, from Arb balls.

A ball contains the exact number; when both its ends round to the same bits, so does the number. What balls leave open
is tried again with more precision, and is an error in the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from flint import ctx

from focal_ref.conformance.accuracy import Exact, round_units
from focal_ref.conformance.family.enclosures import ACCURATE_BITS, LAST_PRECISION, enclosures, flattened
from focal_ref.conformance.family.functions import check_arguments
from focal_ref.conformance.family.scales import scales
from focal_ref.conformance.formats import Format, round_to_format

__all__ = ["bulk", "certified_bits"]

Ball = Any
Array = Any


def certified_bits(
    function: str, name: str, inputs: Sequence[Any], parameters: Mapping[str, Any], format: Format
) -> int | list[Any]:
    """Bits of a quantity, rounded to nearest, proven.

    Parameters
    ----------
    function, name, inputs, parameters
        As in `focal_ref.conformance.family.oracle.quantity`.
    format : Format

    Returns
    -------
    int, or list
        A zero whose sign no ball decides is positive.

    Raises
    ------
    ArithmeticError
        If a number lies too close to a boundary between two roundings, as exact ties do.
    """
    check_arguments(function, name, inputs, parameters)
    for accurate in (ACCURATE_BITS, 1000, 4000):
        ball = enclosures(function, [name], inputs, parameters, accurate)[name]
        with ctx.workprec(2 * LAST_PRECISION):  # ends of balls are rounded to the current precision
            bits: int | list[Any] = _round(ball, format)
        if all(number is not None for number in flattened(bits)):
            return bits
    raise ArithmeticError(f"{function} at {inputs}, {dict(parameters)}: {name} lies on a boundary of rounding")


def bulk(
    function: str,
    inputs: Sequence[Array],
    parameters: Mapping[str, Any],
    quantities: Sequence[str],
    format: Format,
) -> dict[str, Exact]:
    """Truth for many elements, to compare with `focal_ref.conformance.accuracy.error_in_ulps`.

    Parameters
    ----------
    function : str
        One of `focal_ref.conformance.family.functions.FUNCTIONS`.
    inputs : sequence of arrays
        Logits or probabilities and targets, of one shape. For ``softmax_loss`` rows of logits (n, C) with integer
        labels (n,) or rows of targets (n, C).
    parameters : mapping
        Numbers, or arrays that broadcast to the elements; None for an absent alpha; class weights (C,) of rows.
    quantities : sequence of str
        Names of quantities.
    format : Format
        Of the results.

    Returns
    -------
    dict of str to Exact
        In the shape of the elements; for rows (n,), (n, C) or (n, C, C).

    Notes
    -----
    `high` and `low` come from balls with at least 116 accurate bits; `numbers` are the roundings of their sum.
    `scale_ulp_exponent` is that of `focal_ref.conformance.family.scales`.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.conformance.formats import FORMATS
    >>> logits, targets = np.array([-1.0, 0.0, 40.0]), np.array([1.0, 0.5, 0.0])
    >>> truth = bulk("quality_focal_loss", (logits, targets), {"beta": 2.0}, ["value"], FORMATS["float64"])
    >>> truth["value"].numbers
    array([ 0.7018683,  0.       , 40.       ])
    """
    shape, elements = _elements(function, inputs, parameters)
    rows: dict[str, list[list[tuple[float, float, int, int]]]] = {name: [] for name in quantities}
    for element, numbers in elements:
        for name in quantities:
            check_arguments(function, name, element, numbers)
        balls = enclosures(function, quantities, element, numbers, ACCURATE_BITS)
        yardsticks = scales(function, quantities, element, numbers)
        for name in quantities:
            measured = [ball_in_ulps(ball, format) for ball in flattened(balls[name])]
            scale = yardsticks[name]
            units = [ulps[2] for ulps in measured]
            if scale is not None:
                # Rounding may leave the scale of a single term just below the term.
                larger = [ball_in_ulps(one, format)[2] for one in flattened(scale)]
                units = [max(pair) for pair in zip(units, larger, strict=True)]
            rows[name].append([(*ulps, unit) for ulps, unit in zip(measured, units, strict=True)])
    classes = (inputs[0].shape[-1],) if function == "softmax_loss" else ()
    return {
        name: exact_from_ulps(rows[name], (*shape, *_entries(function, name, classes)), format) for name in quantities
    }


def _entries(function: str, name: str, classes: tuple[int, ...]) -> tuple[int, ...]:
    if name == "second_derivative":
        return classes * 2
    return () if name in ("value", "gamma") else classes


def _elements(
    function: str, inputs: Sequence[Array], parameters: Mapping[str, Any]
) -> tuple[tuple[int, ...], Iterator[tuple[tuple[Any, ...], dict[str, Any]]]]:
    """Shape of the elements, and each with its own parameters, all as Python's numbers."""
    first, target = (np.asarray(array) for array in inputs)
    wide = first.astype(np.float64)
    if function == "softmax_loss":
        if target.dtype.kind not in "iu":
            target = target.astype(np.float64)
        alpha = parameters["alpha"]
        weights = None if alpha is None else np.asarray(alpha, dtype=np.float64).tolist()
        numbers = {"alpha": weights, "gamma": float(parameters["gamma"])}
        rows = zip(wide.tolist(), target.tolist(), strict=True)
        return (len(wide),), (((row, label), numbers) for row, label in rows)
    arrays = {key: np.asarray(value, dtype=np.float64) for key, value in parameters.items() if value is not None}
    shape = np.broadcast_shapes(wide.shape, target.shape, *(array.shape for array in arrays.values()))
    flat = [np.broadcast_to(array, shape).ravel().tolist() for array in (wide, target.astype(np.float64))]
    columns = {key: np.broadcast_to(array, shape).ravel().tolist() for key, array in arrays.items()}
    absent = {key: None for key, value in parameters.items() if value is None}

    def generate() -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
        for index, element in enumerate(zip(*flat, strict=True)):
            yield element, {**absent, **{key: column[index] for key, column in columns.items()}}

    return shape, generate()


def exact_from_ulps(rows: list[list[tuple[float, float, int, int]]], shape: tuple[int, ...], format: Format) -> Exact:
    """Results from what `ball_in_ulps` measures of each, and the exponent of the scale in which its errors count."""
    flat = [entry for row in rows for entry in row]
    high, low = (np.array([entry[i] for entry in flat], dtype=np.float64).reshape(shape) for i in (0, 1))
    exponent, scale = (np.array([entry[i] for entry in flat], dtype=np.int64).reshape(shape) for i in (2, 3))
    return Exact(round_units(high, low, exponent, format), high, low, exponent, scale)


def _round(ball: Any, format: Format) -> Any:
    """Bits that both ends of a ball round to; None where they differ."""
    if isinstance(ball, list):
        return [_round(number, format) for number in ball]
    if isinstance(ball, float):
        return round_to_format(ball, format)
    ends = {_round_end(end, format) for end in (ball.lower(), ball.upper())}
    if ends <= {0, format.sign_bit}:
        return format.sign_bit if ends == {format.sign_bit} and ball < 0 else 0
    return ends.pop() if len(ends) == 1 else None


def _round_end(end: Ball, format: Format) -> int:
    """Bits of an exact Arb number."""
    mantissa, exponent = (int(part) for part in end.man_exp())
    sign = format.sign_bit if mantissa < 0 else 0
    size = abs(mantissa).bit_length() + exponent
    # Beyond these exponents the number is zero or infinite in every format, and its fraction astronomically long.
    if mantissa == 0 or size < -5000:
        return sign
    if size > 5000:
        return format.infinity_bits | sign
    return round_to_format(mantissa * (Fraction(2) ** exponent), format)


def ball_in_ulps(ball: Any, format: Format) -> tuple[float, float, int]:
    """The middle of a ball over its ulp as a sum of two floats, and the ulp's exponent."""
    if isinstance(ball, float):
        return ball, 0.0, 0 if ball else format.minimum_ulp_exponent
    mantissa, exponent = (int(part) for part in ball.mid().man_exp())
    surplus = max(mantissa.bit_length() - 120, 0)
    mantissa, exponent = mantissa >> surplus, exponent + surplus
    binade = max(abs(mantissa).bit_length() - 1 + exponent, format.minimum_exponent)
    unit = binade - format.precision + 1 if mantissa else format.minimum_ulp_exponent
    if exponent - unit < -1300:
        return 0.0, 0.0, unit
    high = float(mantissa)
    low = float(mantissa - int(high))
    return math.ldexp(high, exponent - unit), math.ldexp(low, exponent - unit), unit
