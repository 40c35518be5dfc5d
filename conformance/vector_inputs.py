"""The inputs of every vector set: which logits, targets and parameters are tested, and why.

One function a set. Everything here is an input; what is expected comes from the oracle.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from focal_ref.conformance import oracle
from focal_ref.conformance.formats import FORMATS, Format, exact_value, round_to_format

__all__ = ["SETS", "Case", "VectorSetInputs", "cases"]


@dataclass(frozen=True)
class Case:
    """Inputs of one test.

    Parameters
    ----------
    dtype : str
        Name of the format of logit and target.
    alpha, gamma : float or None, float
    logit, target : int
        Bits in that format.
    note : str
        Why the case is there, if the set does not say it.
    flags : tuple of str
        Properties that can't be read off the numbers.
    encoding : str
        "binary" for the targets 0 and 1, "soft" if they lie between.
    """

    dtype: str
    alpha: float | None
    gamma: float
    logit: int
    target: int
    note: str = ""
    flags: tuple[str, ...] = ()
    encoding: str = "binary"

    @property
    def format(self) -> Format:
        """The format of logit and target."""
        return FORMATS[self.dtype]


@dataclass(frozen=True)
class VectorSetInputs:
    """A set: its one subject, and the function that lists its cases."""

    subject: str
    cases: Callable[[], Iterable[Case]]


WIDE = ("float64", "float32")
NARROW = ("float16", "bfloat16")


def cases(name: str) -> list[Case]:
    """Inputs of a set, without those that rounding to a narrow format made equal."""
    distinct: dict[tuple[object, ...], Case] = {}
    for case in SETS[name].cases():
        key = (case.dtype, case.alpha, case.gamma, case.encoding, case.logit, case.target)
        distinct.setdefault(key, case)
    return list(distinct.values())


def _case(
    dtype: str,
    parameters: tuple[float | None, float],
    logit: float,
    target: float,
    *,
    encoding: str = "binary",
    note: str = "",
) -> Case:
    """Case with the numbers of the format that are nearest to the given ones."""
    format = FORMATS[dtype]
    bits = round_to_format(logit, format), round_to_format(target, format)
    return Case(dtype, *parameters, *bits, note, (), encoding)


def _margins(stop: int, step: int) -> list[int]:
    return list(range(-stop, stop + 1, step))


def _grid() -> Iterator[Case]:
    # Not the full product: every gamma without alpha, and alpha where the paper has it.
    parameters: list[tuple[float | None, float]] = [
        (alpha, gamma)
        for gamma in (0.0, 0.5, 1.0, 2.0, 5.0)
        for alpha in (None, 0.25, 0.75)
        if alpha is None or (alpha == 0.25 and gamma >= 1) or (alpha == 0.75 and gamma in (0, 0.5))
    ]
    parameters.append((0.75, 2.0))
    for dtype in FORMATS:
        for pair in parameters:
            for target in (0, 1):
                for logit in _margins(30, 3 if dtype in WIDE else 5):
                    yield _case(dtype, pair, logit, target)


_SATURATED = {
    "float64": (
        *(5, 10, 15, 17, 20, 25, 30, 34, 36, 36.75, 37, 38, 40, 50, 75, 100, 150, 200),
        *(300, 400, 500, 600, 700, 708.5, 710, 740, 745),
    ),
    "float32": (
        *(5, 8, 10, 12, 14, 15, 16, 16.6, 16.75, 17, 17.5, 20, 25, 30, 40, 50, 60, 70),
        *(80, 87, 88, 90, 100, 103, 104),
    ),
    "float16": (4, 5, 6, 7, 8, 8.5, 9, 10, 11, 12, 14, 16, 17, 20),
    "bfloat16": (3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 40, 60, 80, 88, 92, 100, 104),
}


def _saturation() -> Iterator[Case]:
    for dtype, margins in _SATURATED.items():
        for pair in ((None, 0.0), (None, 0.25), (None, 0.5), (None, 2.0), (0.25, 2.0)):
            for target in (0, 1):
                for margin in margins:
                    yield _case(dtype, pair, margin if target else -margin, target)


def _hard() -> Iterator[Case]:
    for entry in _stored("hard_inputs.json"):
        yield _case(
            entry["dtype"],
            (entry["alpha"], entry["gamma"]),
            float.fromhex(entry["logit"]),
            entry["target"],
            note=entry["note"],
        )


def _zero() -> Iterator[Case]:
    for dtype, format in FORMATS.items():
        smallest_normal = 1 << (format.precision - 1)
        for pair in (*((None, g) for g in (0.0, 0.25, 0.5, 1.0, 2.0, 5.0)), (0.25, 2.0)):
            for target in (0, 1):
                for magnitude in (0, 1, smallest_normal):
                    for sign in (0, format.sign_bit):
                        yield Case(dtype, *pair, magnitude | sign, round_to_format(target, format))


def _extremes() -> Iterator[Case]:
    for dtype, format in FORMATS.items():
        largest = format.infinity_bits - 1
        logits = [
            *(format.infinity_bits, format.infinity_bits | format.sign_bit, format.nan_bits),
            *(largest, largest | format.sign_bit),
        ]
        for alpha in (None, 0.0, 0.25, 1.0):
            for gamma in (0.0, 0.5, 2.0):
                for target in (0, 1):
                    for logit in logits:
                        yield Case(dtype, alpha, gamma, logit, round_to_format(target, format))
        for large in (-10000.0, 10000.0):
            for target in (0, 1):
                yield _case(dtype, (None, 2.0), large, target, note="large logit")
        for alpha, gamma in ((None, 0.0), (None, 1.0), (0.75, 1.0), (None, 2.0), (None, 5.0)):
            yield from _around_underflow(dtype, alpha, gamma)


def _around_underflow(dtype: str, alpha: float | None, gamma: float) -> Iterator[Case]:
    """Adjacent logits between which the value becomes subnormal, and between which it becomes 0."""
    format = FORMATS[dtype]
    boundaries = {"smallest normal": 1 << (format.precision - 1), "underflow to 0": 1}
    for note, boundary in boundaries.items():
        for target in (0, 1):
            below = round_to_format(1.0, format)
            above = round_to_format(1024.0, format)
            # The value falls along the margin, and bits of positive numbers are ordered as they.
            while above - below > 1:
                middle = (below + above) // 2
                margin = exact_value(middle, format)
                logit = margin if target else -margin
                value = oracle.rounded("value", logit, target, alpha, gamma, format)
                below, above = (middle, above) if value >= boundary else (below, middle)
            for bits in (below, above):
                logit_bits = bits | (0 if target else format.sign_bit)
                target_bits = round_to_format(target, format)
                yield Case(dtype, alpha, gamma, logit_bits, target_bits, f"value at {note}")


def _gamma() -> Iterator[Case]:
    for dtype in FORMATS:
        wide = dtype in WIDE
        logits = (-40, -8, -3, -1, -0.1, 0.5, 3, 8, 20) if wide else (-8, -1, 0.5, 3)
        for gamma in (0.1, 0.3, 1.5, 2.7, 3.0, 100.0, 1e6, 1e300, 1e-8, 1e-300):
            for target in (0, 1):
                for logit in logits:
                    yield _case(dtype, (None, gamma), logit, target)


def _alpha() -> Iterator[Case]:
    for dtype in FORMATS:
        for alpha in (0.0, 0.1, 1 / 3, 0.999, 1.0):
            for gamma in (0.0, 2.0) if dtype in WIDE else (2.0,):
                for target in (0, 1):
                    for logit in (-30, -5, -1, 0, 1, 5, 30):
                        yield _case(dtype, (alpha, gamma), logit, target)


def _soft() -> Iterator[Case]:
    targets: tuple[float, ...]
    logits: tuple[float, ...]
    for dtype in FORMATS:
        if dtype in WIDE:
            targets = (0.0, 1e-6, 0.1, 0.25, 0.3, 0.5, 0.9, 0.999, 1.0)
            logits = (-100.0, -30.0, -15.0, -5.0, -1.0, 0.0, 0.5, 2.0, 10.0, 30.0, 100.0)
            if dtype == "float64":
                logits = (-700.0, *logits, 700.0)
        else:
            targets = (0.0, 1e-6, 0.1, 0.3, 0.5, 0.9, 1.0)
            logits = (-15.0, -5.0, -1.0, 0.0, 2.0, 10.0)
        pairs = ((None, 0.0), (None, 0.5), (None, 1.0), (None, 2.0), (0.25, 2.0), (None, 5.0))
        for pair in pairs:
            for target in targets:
                for logit in logits:
                    yield _case(dtype, pair, logit, target, encoding="soft")


def _worst() -> Iterator[Case]:
    for entry in _stored("worst_inputs.json"):
        yield Case(
            entry["dtype"],
            entry["alpha"],
            entry["gamma"],
            int(entry["logit"], 16),
            int(entry["target"], 16),
            entry["note"],
            tuple(entry["flags"]),
        )


def _stored(name: str) -> list[dict[str, Any]]:
    text = (files("focal_ref.conformance") / "vectors" / name).read_text(encoding="utf-8")
    stored: list[dict[str, Any]] = json.loads(text)["cases"]
    return stored


SETS: dict[str, VectorSetInputs] = {
    "grid": VectorSetInputs("Regular logits, both classes, the paper's parameters.", _grid),
    "saturation": VectorSetInputs(
        "The easy side, where 1 - p_t and the logarithm of p_t cancel unless computed well.",
        _saturation,
    ),
    "hard": VectorSetInputs(
        "Inputs on which the closed forms, or common variants of them, were at their worst.", _hard
    ),
    "zero": VectorSetInputs(
        "Logits at and next to zero, where automatic derivatives of abs, max and clamp fail.",
        _zero,
    ),
    "extremes": VectorSetInputs(
        "Infinite, NaN and huge logits, zero weights, and results at the border of underflow.",
        _extremes,
    ),
    "gamma": VectorSetInputs("Fractional, tiny and huge focusing parameters.", _gamma),
    "alpha": VectorSetInputs("Class weights, 0 and 1 among them.", _alpha),
    "soft": VectorSetInputs("Targets between 0 and 1, in the blended form.", _soft),
    "worst": VectorSetInputs("Results next to a boundary of rounding, and traps for rounding twice.", _worst),
}
