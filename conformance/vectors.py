"""Read the test vectors, checked against their manifest.

>>> from focal_ref.conformance.vectors import load_vectors
>>> zero = load_vectors("zero")
>>> group = zero.groups[0]
>>> group.dtype, group.alpha, group.gamma, group.encoding
('float64', None, 0.0, 'binary')
>>> group.arrays.logits.dtype
dtype('float64')
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from focal_ref.conformance.formats import FORMATS, Format, InUlps, from_hex, in_ulps

__all__ = [
    "QUANTITIES",
    "Expected",
    "Group",
    "GroupArrays",
    "VectorError",
    "VectorSet",
    "VectorTest",
    "load_all_vectors",
    "load_vectors",
    "vector_set_names",
]

#: The three quantities of a test.
QUANTITIES = ("value", "gradient", "second_derivative")

_FORMAT_VERSION = 1
_MANIFEST = "manifest.json"


class VectorError(ValueError):
    """A data file that is missing, altered or malformed; the message names file and key."""


@dataclass(frozen=True)
class VectorTest:
    """One test: what to compute, and what must come out.

    Parameters
    ----------
    id : str
        Made of the contents, so it stays the same when tests are added.
    logit, target, value, gradient, second_derivative : str
        Bits in the group's dtype, as hexadecimal digits.
    exact : mapping of str to str or None
        The unrounded results by quantity, to 45 digits; "inf", "-inf", "nan"; None for one that
        is too small for a decimal string and zero in every dtype.
    scale : mapping of str to str or None
        By quantity, the sum of the magnitudes of the terms that it is the difference of, to 17
        digits; None where nothing cancels or the logit is not finite.
    flags : frozenset of str
        See the JSON Schema.
    note : str
    """

    id: str
    logit: str
    target: str
    value: str
    gradient: str
    second_derivative: str
    exact: Mapping[str, str | None]
    scale: Mapping[str, str | None]
    flags: frozenset[str]
    note: str

    def bits(self, quantity: str) -> str:
        """Expected bits of a quantity."""
        text: str = {
            "value": self.value,
            "gradient": self.gradient,
            "second_derivative": self.second_derivative,
        }[quantity]
        return text


@dataclass(frozen=True)
class Expected:
    """What one quantity must be, for all tests of a group.

    An error in ulps is ``abs((ldexp(got, -ulp_exponent) - high) - low)`` with `got` converted to
    float64, which is exact. Multiplied by ``2**(ulp_exponent - scale_ulp_exponent)`` it is in ulps
    of the scale.

    Parameters
    ----------
    bits : array of unsigned integers
    numbers : array of the group's dtype
        The same, as numbers.
    high, low : float64 arrays
        The exact result over its ulp, in an unevaluated sum. Infinite and NaN results have
        themselves in `high`, and 0 in `low` and `ulp_exponent`.
    ulp_exponent : int64 array
    scale : float64 array
        NaN where the test has none. May underflow; `scale_ulp_exponent` is exact.
    scale_ulp_exponent : int64 array
        Exponent of the scale's ulp in the group's dtype; `ulp_exponent` where there is no scale.
    """

    bits: npt.NDArray[Any]
    numbers: npt.NDArray[Any]
    high: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    ulp_exponent: npt.NDArray[np.int64]
    scale: npt.NDArray[np.float64]
    scale_ulp_exponent: npt.NDArray[np.int64]


@dataclass(frozen=True)
class GroupArrays:
    """A group's tests as arrays, in their order.

    Parameters
    ----------
    logits, targets : arrays of the group's dtype
    expected : mapping of str to Expected
        By quantity.
    """

    logits: npt.NDArray[Any]
    targets: npt.NDArray[Any]
    expected: Mapping[str, Expected]


@dataclass(frozen=True)
class Group:
    """Tests that one call can run: same dtype, same parameters.

    Parameters
    ----------
    dtype : str
        "float64", "float32", "float16" or "bfloat16".
    alpha : float or None
    gamma : float
    encoding : str
        "binary" if all targets are 0 or 1 by design, "soft" if they lie in [0, 1].
    tests : tuple of VectorTest
    """

    dtype: str
    alpha: float | None
    gamma: float
    encoding: str
    tests: tuple[VectorTest, ...]

    @property
    def format(self) -> Format:
        """The floating-point format of the dtype."""
        return FORMATS[self.dtype]

    @cached_property
    def arrays(self) -> GroupArrays:
        """Inputs and expected results as NumPy arrays."""
        return GroupArrays(
            _numbers([test.logit for test in self.tests], self.format),
            _numbers([test.target for test in self.tests], self.format),
            MappingProxyType({quantity: self._expected(quantity) for quantity in QUANTITIES}),
        )

    def _expected(self, quantity: str) -> Expected:
        format = self.format
        numbers = _numbers([test.bits(quantity) for test in self.tests], format)
        exact = [_in_ulps(test.exact[quantity], test.bits(quantity), format) for test in self.tests]
        scales = [test.scale[quantity] for test in self.tests]
        scale_exponents = [
            ratio.ulp_exponent if scale is None else in_ulps(Fraction(scale), format).ulp_exponent
            for scale, ratio in zip(scales, exact, strict=True)
        ]
        return Expected(
            bits=numbers.view(format.bits_dtype),
            numbers=numbers,
            high=np.array([ratio.high for ratio in exact], dtype=np.float64),
            low=np.array([ratio.low for ratio in exact], dtype=np.float64),
            ulp_exponent=np.array([ratio.ulp_exponent for ratio in exact], dtype=np.int64),
            scale=np.array(
                [math.nan if scale is None else float(scale) for scale in scales],
                dtype=np.float64,
            ),
            scale_ulp_exponent=np.array(scale_exponents, dtype=np.int64),
        )


@dataclass(frozen=True)
class VectorSet:
    """All tests on one subject."""

    name: str
    subject: str
    groups: tuple[Group, ...]


def vector_set_names(directory: Traversable | None = None) -> tuple[str, ...]:
    """Names of the sets, in the manifest's order."""
    return tuple(_manifest(_directory(directory))["sets"])


def load_vectors(name: str, directory: Traversable | None = None) -> VectorSet:
    """Read one set and check it against the manifest.

    Parameters
    ----------
    name : str
        One of `vector_set_names`.
    directory : Traversable, optional
        Where the files are (a `pathlib.Path` will do); the installed ones if absent.

    Returns
    -------
    VectorSet

    Raises
    ------
    VectorError
        If the file is not the one that the manifest describes, or malformed.
    """
    folder = _directory(directory)
    sets = _manifest(folder)["sets"]
    if name not in sets:
        raise VectorError(f"{_MANIFEST}: sets: no set {name!r}; known are {', '.join(sets)}")
    entry = sets[name]
    file = str(_get(entry, "file", f"{_MANIFEST}: sets.{name}"))
    content = _read(folder, file)
    digest = hashlib.sha256(content).hexdigest()
    expected = _get(entry, "sha256", f"{_MANIFEST}: sets.{name}")
    if digest != expected:
        raise VectorError(f"{file}: sha256 is {digest}, but {_MANIFEST} says {expected} (sets.{name}.sha256)")
    document = _parse(content, file)
    _check_version(document, file)
    groups = tuple(
        _group(group, f"{file}: groups[{index}]") for index, group in enumerate(_get(document, "groups", file))
    )
    count = sum(len(group.tests) for group in groups)
    if count != _get(entry, "tests", f"{_MANIFEST}: sets.{name}"):
        raise VectorError(f"{file}: {count} tests, but {_MANIFEST} says {entry['tests']}")
    return VectorSet(_get(document, "name", file), _get(document, "subject", file), groups)


def load_all_vectors(directory: Traversable | None = None) -> tuple[VectorSet, ...]:
    """Read all sets; errors as in `load_vectors`."""
    return tuple(load_vectors(name, directory) for name in vector_set_names(directory))


def _directory(directory: Traversable | None) -> Traversable:
    return directory or files("focal_ref.conformance") / "vectors"


def _manifest(folder: Traversable) -> dict[str, Any]:
    document = _parse(_read(folder, _MANIFEST), _MANIFEST)
    _check_version(document, _MANIFEST)
    _get(document, "sets", _MANIFEST)
    return document


def _read(folder: Traversable, file: str) -> bytes:
    try:
        return (folder / file).read_bytes()
    except OSError as error:
        raise VectorError(f"{file}: can't be read: {error}") from error


def _parse(content: bytes, file: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError as error:
        raise VectorError(f"{file}: is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise VectorError(f"{file}: is no JSON object")
    return document


def _check_version(document: dict[str, Any], file: str) -> None:
    version = _get(document, "format_version", file)
    if version != _FORMAT_VERSION:
        raise VectorError(f"{file}: format_version is {version}, expected {_FORMAT_VERSION}")


def _get(mapping: Any, key: str, where: str) -> Any:
    if not isinstance(mapping, dict) or key not in mapping:
        raise VectorError(f"{where}: key {key!r} is missing")
    return mapping[key]


def _group(group: Any, where: str) -> Group:
    dtype = _get(group, "dtype", where)
    if dtype not in FORMATS:
        raise VectorError(f"{where}.dtype: {dtype!r} is none of {', '.join(FORMATS)}")
    alpha = _get(group, "alpha", where)
    return Group(
        dtype,
        None if alpha is None else _parameter(alpha, f"{where}.alpha"),
        _parameter(_get(group, "gamma", where), f"{where}.gamma"),
        _get(group, "encoding", where),
        tuple(
            _test(test, FORMATS[dtype], f"{where}.tests[{index}]")
            for index, test in enumerate(_get(group, "tests", where))
        ),
    )


def _parameter(entry: Any, where: str) -> float:
    bits = _get(entry, "bits", where)
    try:
        number: float = struct.unpack(">d", bytes.fromhex(bits))[0]
    except (TypeError, ValueError, struct.error) as error:
        raise VectorError(f"{where}.bits: {bits!r} are no bits of a float64") from error
    if repr(number) != _get(entry, "decimal", where):
        raise VectorError(f"{where}.decimal: {entry['decimal']!r}, but the bits are {number!r}")
    return number


def _test(test: Any, format: Format, where: str) -> VectorTest:
    for key in ("logit", "target", *QUANTITIES):
        try:
            from_hex(_get(test, key, where), format)
        except (TypeError, ValueError) as error:
            raise VectorError(f"{where}.{key}: {error}") from error
    return VectorTest(
        _get(test, "id", where),
        test["logit"],
        test["target"],
        test["value"],
        test["gradient"],
        test["second_derivative"],
        MappingProxyType({q: _get(test, f"exact_{q}", where) for q in QUANTITIES}),
        # The value is a sum of positive terms, so it has no scale of its own.
        MappingProxyType({q: test.get(f"{q}_scale") for q in QUANTITIES}),
        frozenset(_get(test, "flags", where)),
        _get(test, "note", where),
    )


def _numbers(texts: Sequence[str], format: Format) -> npt.NDArray[Any]:
    bits = np.array([int(text, 16) for text in texts], dtype=format.bits_dtype)
    return bits.view(format.dtype)


def _in_ulps(exact: str | None, bits: str, format: Format) -> InUlps:
    if exact is None:
        negative = bool(int(bits, 16) & format.sign_bit)
        return InUlps(-0.0 if negative else 0.0, 0.0, format.minimum_ulp_exponent)
    if exact in ("nan", "inf", "-inf"):
        return in_ulps(float(exact), format)
    return in_ulps(Fraction(exact), format)
