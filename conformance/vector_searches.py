"""Searches for the inputs of the set `worst`; their findings are stored, not repeated.

The searches screen with the closed form in float64, whose error of some 10**-15 is far below the
distances that matter, and confirm what they find with the oracle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from mpmath import mp

from focal_ref.conformance import oracle
from focal_ref.conformance.formats import (
    FORMATS,
    Format,
    exact_value,
    from_bits,
    in_ulps,
    round_to_format,
    to_bits,
)

__all__ = ["worst_inputs"]

Floats = npt.NDArray[np.float64]

_ALPHA = 0.25
_RANDOM_LOGITS = 200_000
_KEPT_PER_SEARCH = 12
_QUANTITIES = ("value", "gradient")


def worst_inputs() -> str:
    """Text of ``vectors/worst_inputs.json``."""
    entries = [*_nearest_to_boundaries(), *_double_rounding(), *_ties_in_float64()]
    rows = ",\n".join(f"    {json.dumps(entry)}" for entry in entries)
    note = (
        "Found by generate.py --search-worst: results that lie closest to the middle of two"
        " float32 numbers, and results that come out wrong if they are rounded to float32 first."
    )
    return f'{{\n  "note": "{note}",\n  "cases": [\n{rows}\n  ]\n}}\n'


def _screen(x: Floats, target: int, gamma: float) -> tuple[Floats, Floats]:
    """Value and gradient in float64, within a few ulps of it."""
    s = x if target else -x
    small = np.exp(-np.abs(s))
    q = np.where(s >= 0, small, 1.0) / (1 + small)
    p = np.where(s >= 0, 1.0, small) / (1 + small)
    cross_entropy = np.maximum(-s, 0) + np.log1p(small)
    weight = (_ALPHA if target else 1 - _ALPHA) * q**gamma
    slope = -weight * (gamma * p * cross_entropy + q)
    return weight * cross_entropy, slope if target else -slope


def _nearest_to_boundaries() -> Iterator[dict[str, Any]]:
    """Random float32 logits whose result is nearest to the middle of two float32 numbers."""
    format = FORMATS["float32"]
    random = np.random.default_rng(20170807)
    logits = random.normal(0, 6, _RANDOM_LOGITS).astype(np.float32)
    for target in (1, 0):
        results = _screen(logits.astype(np.float64), target, 2.0)
        for quantity, result in zip(_QUANTITIES, results, strict=True):
            rounded = result.astype(np.float32)
            in_units = (result - rounded) / np.abs(np.spacing(rounded)).astype(np.float64)
            for index in np.argsort(np.abs(0.5 - np.abs(in_units)))[:_KEPT_PER_SEARCH]:
                logit = int(to_bits(logits[index], format))
                distance = _distance_to_middle(quantity, logit, target, format)
                note = f"{quantity} {distance} ulp from the middle of two float32 numbers"
                yield _entry(format, 2.0, logit, target, note, f"{quantity}_worst_case")


def _distance_to_middle(quantity: str, logit: int, target: int, format: Format) -> str:
    function = oracle.loss if quantity == "value" else oracle.gradient
    number = in_ulps(function(exact_value(logit, format), target, _ALPHA, 2.0), format)
    with mp.workprec(200):
        ulps = abs(mp.mpf(number.high) + number.low)
        return str(mp.nstr(abs(ulps - mp.floor(ulps) - 0.5), 2))


def _double_rounding() -> Iterator[dict[str, Any]]:
    """All 16-bit logits whose result differs if it is rounded to float32 on the way."""
    for format in (FORMATS["float16"], FORMATS["bfloat16"]):
        positive = from_bits(np.arange(format.infinity_bits), format).astype(np.float64)
        logits = np.concatenate([positive, -positive])
        for gamma in (0.5, 1.0, 2.0):
            for target in (1, 0):
                results = _screen(logits, target, gamma)
                for quantity, result in zip(_QUANTITIES, results, strict=True):
                    traps = list(_traps(format, gamma, target, quantity, logits, result))
                    # Where the loss is nearly alpha_t |x| there are hundreds, all of one kind.
                    rare = [trap for large, trap in traps if not large]
                    yield from rare
                    yield from [trap for large, trap in traps if large][::10]


def _traps(
    format: Format, gamma: float, target: int, quantity: str, logits: Floats, result: Floats
) -> Iterator[tuple[bool, dict[str, Any]]]:
    """Confirmed traps for one quantity, and whether the logit is large."""
    # Rounding twice goes wrong only where float32 has the exact middle of two 16-bit numbers and
    # float64 has not: the float32 number is none of the 16-bit format, but a neighbour with half
    # its last place is. A middle in float64 too is another trap, see `_ties_in_float64`.
    with np.errstate(over="ignore", under="ignore"):
        single = result.astype(np.float32)
        lost_bits = to_bits(single, FORMATS["float32"]) & ((1 << (23 - format.precision)) - 1)
        in_format = single.astype(format.dtype).astype(np.float32) == single
    for index in np.flatnonzero((lost_bits == 0) & ~in_format & (single != result)):
        logit = round_to_format(float(logits[index]), format)
        x = exact_value(logit, format)
        direct = oracle.rounded(quantity, x, target, _ALPHA, gamma, format)
        float32 = oracle.rounded(quantity, x, target, _ALPHA, gamma, FORMATS["float32"])
        twice = round_to_format(exact_value(float32, FORMATS["float32"]), format)
        if direct != twice:
            note = f"{quantity} is {twice:04x} if rounded to float32 first"
            flag = f"{quantity}_double_rounding"
            yield abs(x) > 12, _entry(format, gamma, logit, target, note, flag)


def _ties_in_float64() -> Iterator[dict[str, Any]]:
    """Large losses, alpha_t |x| but for exp(-|x|), whose first term is the middle of two numbers.

    No arithmetic in float64 sees what decides the rounding: gamma |x| exp(-|x|) is below its last
    place. Rounding to even is then wrong, by 0.5 ulp and next to nothing, half the time.
    """
    format = FORMATS["float32"]
    start = round_to_format(60, format)
    for logit in range(start, start + 16):
        leading = exact_value(logit, format) * Fraction(1 - _ALPHA)
        tie_to_even = round_to_format(leading, format)
        if tie_to_even != oracle.rounded("value", exact_value(logit, format), 0, _ALPHA, 2, format):
            note = f"value is {tie_to_even:08x} if a tie in float64 is rounded to even"
            yield _entry(format, 2.0, logit, 0, note, "value_tie_in_float64")


def _entry(format: Format, gamma: float, logit: int, target: int, note: str, flag: str) -> dict[str, Any]:
    digits = format.bits // 4
    return {
        "dtype": format.name,
        "logit": f"{logit:0{digits}x}",
        "target": f"{round_to_format(target, format):0{digits}x}",
        "alpha": _ALPHA,
        "gamma": gamma,
        "note": note,
        "flags": [flag],
    }
