"""Read the vectors of functions with parameters, checked against their manifest.

>>> from focal_ref.conformance.family.vectors import load_vectors
>>> star = load_vectors("star_loss")
>>> group = star.groups[0]
>>> group.dtype, dict(group.parameters), group.quantities
('float64', {'alpha': None, 'gamma': 2.0, 'beta': 1.0}, ('value', 'gradient', 'second_derivative', 'gamma', 'beta'))
>>> group.inputs["logits"].dtype
dtype('float64')
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from focal_ref.conformance.accuracy import Exact
from focal_ref.conformance.formats import FORMATS, Format, from_hex, in_ulps

# The two loaders speak of broken files in the same words.
from focal_ref.conformance.vectors import VectorError, _check_version, _get, _in_ulps, _parameter, _parse, _read

__all__ = ["FunctionVectors", "Group", "Result", "VectorError", "VectorTest", "function_names", "load_vectors"]

_MANIFEST = "manifest.json"

#: Bits, decimal numbers and scales of rows are nested lists.
Nested = Any


@dataclass(frozen=True)
class Result:
    """What one quantity of one test must be.

    Parameters
    ----------
    bits : str, or nested lists of them
        In the group's dtype, as hexadecimal digits.
    exact : str or None, or nested lists of them
        The unrounded result to 40 digits; "inf", "-inf", "nan"; None for one that is zero in every dtype.
    scale : str or None, or nested lists of them
        Sum of the magnitudes of its terms, to 6 digits; None where it is the magnitude of the result.
    """

    bits: Nested
    exact: Nested
    scale: Nested


@dataclass(frozen=True)
class VectorTest:
    """One test.

    Parameters
    ----------
    id : str
        Made of the contents, so it stays the same when tests are added.
    inputs : mapping
        By name: bits, a list of bits, or a label.
    expected : mapping of str to Result
        By quantity.
    flags : frozenset of str
        See the JSON Schema.
    note : str
    """

    id: str
    inputs: Mapping[str, Nested]
    expected: Mapping[str, Result]
    flags: frozenset[str]
    note: str


@dataclass(frozen=True)
class Group:
    """Tests that one call can run.

    Parameters
    ----------
    function, dtype : str
    parameters : mapping
        Hyper-parameters by name: a float, None, or a tuple of class weights.
    classes : int or None
        Length of a row.
    quantities : tuple of str
        What every test expects.
    input_names : tuple of str
    tests : tuple of VectorTest
    """

    function: str
    dtype: str
    parameters: Mapping[str, float | tuple[float, ...] | None]
    classes: int | None
    quantities: tuple[str, ...]
    input_names: tuple[str, ...]
    tests: tuple[VectorTest, ...]

    @property
    def format(self) -> Format:
        """The floating-point format of the dtype."""
        return FORMATS[self.dtype]

    @cached_property
    def inputs(self) -> Mapping[str, npt.NDArray[Any]]:
        """Inputs by name: arrays of the dtype, (n,) or (n, C); labels are int64 (n,)."""
        arrays = {}
        for name in self.input_names:
            entries = [test.inputs[name] for test in self.tests]
            arrays[name] = np.array(entries, dtype=np.int64) if name == "labels" else self._numbers(entries)
        return MappingProxyType(arrays)

    @cached_property
    def expected(self) -> Mapping[str, Exact]:
        """What must come out, by quantity: (n,), (n, C) or (n, C, C).

        `focal_ref.conformance.accuracy.error_in_ulps` measures against it.
        """
        return MappingProxyType({name: self._expected(name) for name in self.quantities})

    def _expected(self, name: str) -> Exact:
        results = [test.expected[name] for test in self.tests]
        numbers = self._numbers([result.bits for result in results])
        flat = [
            (bits, exact, scale)
            for result in results
            for bits, exact, scale in zip(_flat(result.bits), _flat(result.exact), _scales(result), strict=True)
        ]
        measured = [_in_ulps(exact, bits, self.format) for bits, exact, _ in flat]
        scales = [
            ratio.ulp_exponent if scale is None else max(ratio.ulp_exponent, self._ulp_exponent(scale))
            for ratio, (_, _, scale) in zip(measured, flat, strict=True)
        ]

        def array(numbers_: list[Any], dtype: Any) -> npt.NDArray[Any]:
            return np.array(numbers_, dtype=dtype).reshape(numbers.shape)

        return Exact(
            numbers,
            array([ratio.high for ratio in measured], np.float64),
            array([ratio.low for ratio in measured], np.float64),
            array([ratio.ulp_exponent for ratio in measured], np.int64),
            array(scales, np.int64),
        )

    def _ulp_exponent(self, scale: str) -> int:
        return in_ulps(Fraction(scale), self.format).ulp_exponent

    def _numbers(self, entries: Nested) -> npt.NDArray[Any]:
        bits = np.array(_converted(lambda text: int(text, 16), entries), dtype=self.format.bits_dtype)
        return bits.view(self.format.dtype)


@dataclass(frozen=True)
class FunctionVectors:
    """All tests of one function."""

    function: str
    subject: str
    source: str
    groups: tuple[Group, ...]


def function_names(directory: Traversable | None = None) -> tuple[str, ...]:
    """Names of the functions that have vectors, in the manifest's order."""
    return tuple(_manifest(_directory(directory))["functions"])


def load_vectors(function: str, directory: Traversable | None = None) -> FunctionVectors:
    """Read the vectors of one function and check them against the manifest.

    Parameters
    ----------
    function : str
        One of `function_names`.
    directory : Traversable, optional
        Where the files are (a `pathlib.Path` will do); the installed ones if absent.

    Returns
    -------
    FunctionVectors

    Raises
    ------
    VectorError
        If the file is not the one that the manifest describes, or malformed.
    """
    folder = _directory(directory)
    functions = _manifest(folder)["functions"]
    if function not in functions:
        raise VectorError(f"{_MANIFEST}: functions: no function {function!r}; known are {', '.join(functions)}")
    where = f"{_MANIFEST}: functions.{function}"
    file = str(_get(functions[function], "file", where))
    content = _read(folder, file)
    digest = hashlib.sha256(content).hexdigest()
    if digest != _get(functions[function], "sha256", where):
        raise VectorError(f"{file}: sha256 is {digest}, but {_MANIFEST} says otherwise (functions.{function}.sha256)")
    document = _parse(content, file)
    _check_version(document, file)
    groups = tuple(
        _group(function, group, f"{file}: groups[{index}]")
        for index, group in enumerate(_get(document, "groups", file))
    )
    count = sum(len(group.tests) for group in groups)
    if count != _get(functions[function], "tests", where):
        raise VectorError(f"{file}: {count} tests, but {_MANIFEST} says {functions[function]['tests']}")
    return FunctionVectors(function, _get(document, "subject", file), _get(document, "source", file), groups)


def _directory(directory: Traversable | None) -> Traversable:
    return directory or files("focal_ref.conformance.family") / "vectors"


def _manifest(folder: Traversable) -> dict[str, Any]:
    document = _parse(_read(folder, _MANIFEST), _MANIFEST)
    _check_version(document, _MANIFEST)
    _get(document, "functions", _MANIFEST)
    return document


def _group(function: str, group: Any, where: str) -> Group:
    dtype = _get(group, "dtype", where)
    if dtype not in FORMATS:
        raise VectorError(f"{where}.dtype: {dtype!r} is none of {', '.join(FORMATS)}")
    parameters = {
        name: _converted(lambda entry, name=name: _parameter(entry, f"{where}.parameters.{name}"), entry)  # type: ignore[misc]
        for name, entry in _get(group, "parameters", where).items()
    }
    quantities = tuple(_get(group, "quantities", where))
    names = tuple(_get(group, "inputs", where))
    tests = tuple(
        _test(test, names, quantities, FORMATS[dtype], f"{where}.tests[{index}]")
        for index, test in enumerate(_get(group, "tests", where))
    )
    frozen = MappingProxyType({key: tuple(n) if isinstance(n, list) else n for key, n in parameters.items()})
    return Group(function, dtype, frozen, _get(group, "classes", where), quantities, names, tests)


def _test(test: Any, names: tuple[str, ...], quantities: tuple[str, ...], format: Format, where: str) -> VectorTest:
    inputs = {name: _get(_get(test, "inputs", where), name, f"{where}.inputs") for name in names}
    for name, entry in inputs.items():
        if name != "labels":
            _check_bits(entry, format, f"{where}.inputs.{name}")
    expected = {}
    for name in quantities:
        place = f"{where}.expected.{name}"
        result = _get(_get(test, "expected", where), name, f"{where}.expected")
        expected[name] = Result(*(_get(result, key, place) for key in ("bits", "exact", "scale")))
        _check_bits(expected[name].bits, format, f"{place}.bits")
    return VectorTest(
        _get(test, "id", where),
        MappingProxyType(inputs),
        MappingProxyType(expected),
        frozenset(_get(test, "flags", where)),
        _get(test, "note", where),
    )


def _check_bits(entries: Nested, format: Format, where: str) -> None:
    for text in _flat(entries):
        try:
            from_hex(text, format)
        except (TypeError, ValueError) as error:
            raise VectorError(f"{where}: {error}") from error


def _scales(result: Result) -> list[str | None]:
    count = len(_flat(result.bits))
    return [None] * count if result.scale is None else _flat(result.scale)


def _converted(convert: Callable[[Any], Any], entries: Nested) -> Nested:
    if isinstance(entries, list):
        return [_converted(convert, entry) for entry in entries]
    return None if entries is None else convert(entries)


def _flat(entries: Nested) -> list[Any]:
    if isinstance(entries, list):
        return [number for entry in entries for number in _flat(entry)]
    return [entries]
