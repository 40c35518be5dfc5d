"""Vectors as CSV, for languages without a reader of JSON: every number a string of bits, every unit a power of two."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from focal_ref.conformance.family.vectors import FunctionVectors
from focal_ref.conformance.family.vectors import Group as FunctionGroup
from focal_ref.conformance.formats import FORMATS, hex_bits
from focal_ref.conformance.vectors import QUANTITIES, Group, VectorSet

FOCAL_COLUMNS = (
    "dtype",
    "encoding",
    "alpha",
    "gamma",
    "logit",
    "target",
    *(column for name in QUANTITIES for column in (name, f"{name}_unit")),
    "id",
)
FAMILY_COLUMNS = ("function", "dtype", "parameters", "first", "second", "quantity", "expected", "unit", "id")
OVERLAP_COLUMNS = (
    "kind",
    *(f"{name}_{box}" for box in "ab" for name in ("x1", "y1", "x2", "y2")),
    "float32",
    "float64",
    "id",
)


def focal_table(sets: Iterable[VectorSet]) -> str:
    """The focal loss: a test a row."""
    return _table(FOCAL_COLUMNS, (row for one in sets for group in one.groups for row in _focal_rows(group)))


def family_table(functions: Iterable[FunctionVectors]) -> str:
    """The other losses and derivatives in parameters: a quantity of a test a row."""
    return _table(
        FAMILY_COLUMNS, (row for one in functions for group in one.groups for row in _family_rows(one.function, group))
    )


def overlap_table(tests: Iterable[Any]) -> str:
    """Overlaps of two boxes: a pair a row, coordinates as bits of float64."""
    rows = (
        [
            test["kind"],
            *(hex_bits(float(number), FORMATS["float64"]) for box in test["boxes"] for number in box),
            test["float32"],
            test["float64"],
            test["id"],
        ]
        for test in tests
        if "boxes" in test and "kind" in test and len(test["boxes"]) == 2
    )
    return _table(OVERLAP_COLUMNS, rows)


def _focal_rows(group: Group) -> Iterator[list[str]]:
    alpha = "none" if group.alpha is None else _parameter(group.alpha)
    expected = group.arrays.expected
    for index, test in enumerate(group.tests):
        row = [group.dtype, group.encoding, alpha, _parameter(group.gamma), test.logit, test.target]
        for name in QUANTITIES:
            # Infinite and NaN results have no unit: they are compared as they are.
            finite = np.isfinite(expected[name].high[index])
            row += [test.bits(name), str(expected[name].scale_ulp_exponent[index]) if finite else ""]
        yield [*row, test.id]


def _family_rows(function: str, group: FunctionGroup) -> Iterator[list[str]]:
    parameters = ";".join(f"{name}={_parameter(value)}" for name, value in group.parameters.items())
    for index, test in enumerate(group.tests):
        inputs = [_joined(test.inputs[name]) for name in group.input_names]
        for name in group.quantities:
            exact = group.expected[name]
            exponents, finite = exact.scale_ulp_exponent[index], np.isfinite(exact.high[index])
            units = [
                str(exponent) if known else "-"
                for exponent, known in zip(np.ravel(exponents), np.ravel(finite), strict=True)
            ]
            bits = _joined(test.expected[name].bits)
            yield [function, group.dtype, parameters, *inputs, name, bits, " ".join(units), test.id]


def _joined(entries: Any) -> str:
    """Bits row by row, with spaces between them."""
    return " ".join(map(_joined, entries)) if isinstance(entries, list) else str(entries)


def _parameter(value: float | Sequence[float] | None) -> str:
    if value is None:
        return "none"
    if isinstance(value, Sequence):
        return " ".join(map(_parameter, value))
    return hex_bits(value, FORMATS["float64"])


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """CSV with a head. Only the last field, the id, may hold commas and stand in quotes: the others split at commas."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        if any("," in field or '"' in field for field in row[:-1]):
            raise ValueError(f"{row[-1]}: a field before the last one holds a comma")
        writer.writerow(row)
    return file.getvalue()
