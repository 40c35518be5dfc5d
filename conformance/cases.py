"""Which cases of a requirement failed, and in which way: what waivers are held against."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

SIGNATURES = {
    "nan": "NaN in the place of a number",
    "zero": "zero in the place of another number",
    "infinity": "an infinity in the place of another number",
    "off-by-ulp": "a number whose error is beyond its budget",
    "shape": "a result of another shape",
    "dtype": "a result of another dtype, library or device",
    "raise": "an error in the place of a result",
    "accepted": "a result in the place of an error",
    "fault": "no answer: a program that hangs, crashed or wrote garbage",
    "other": "none of these",
}
"""The ways to fail."""


class Cases:
    """The ways in which each case failed; none for those that passed."""

    def __init__(self) -> None:
        self._ways: dict[str, set[str]] = {}

    def ran(self, ids: Iterable[str]) -> None:
        """Note that cases were compared."""
        for identifier in dict.fromkeys(ids):
            self._ways.setdefault(identifier, set())

    def failed(self, identifier: str, signature: str) -> None:
        """Note that a case failed, and how."""
        self._ways.setdefault(identifier, set()).add(signature)

    def has(self, identifier: str) -> bool:
        """Whether a case is known to have failed."""
        return bool(self._ways.get(identifier))

    def merge(self, other: "Cases") -> None:
        """Add what another examiner noted."""
        for identifier, ways in other._ways.items():
            self._ways.setdefault(identifier, set()).update(ways)

    @property
    def failing(self) -> dict[str, tuple[str, ...]]:
        """Cases by the way in which they failed."""
        return {
            way: tuple(identifier for identifier, ways in self._ways.items() if way in ways)
            for way in SIGNATURES
            if any(way in ways for ways in self._ways.values())
        }

    @property
    def passing(self) -> tuple[str, ...]:
        """Cases that passed in every comparison."""
        return tuple(identifier for identifier, ways in self._ways.items() if not ways)


def signature_of(got: Any, expected: Any = 0.0) -> str:
    """The way in which a number is wrong; of an array, that of the first in the order of `SIGNATURES`."""
    numbers = np.asarray(got)
    if numbers.dtype.kind not in "fV" or not numbers.size:
        return "shape" if isinstance(got, tuple) else "other"
    with np.errstate(invalid="ignore"):
        numbers, wanted = (np.asarray(array).astype(np.float64) for array in (numbers, expected))
        wanted = np.broadcast_to(wanted, numbers.shape)
    if np.any(np.isnan(numbers) & ~np.isnan(wanted)):
        return "nan"
    if np.any(np.isinf(numbers) & (numbers != wanted)):
        return "infinity"
    if np.any((numbers == 0) & (wanted != 0)):
        return "zero"
    return "off-by-ulp" if np.all(np.isfinite(wanted)) else "other"


def packed(ids: Sequence[str]) -> dict[str, list[str]]:
    """Ids by what stands before their last slash, which most share: a record stays small."""
    groups: dict[str, list[str]] = {}
    for identifier in ids:
        parent, slash, leaf = identifier.rpartition("/")
        groups.setdefault(parent + slash, []).append(leaf)
    return groups


def unpacked(groups: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The ids of which `packed` made these groups."""
    return tuple(parent + leaf for parent, leaves in groups.items() for leaf in leaves)


def signatures_of(got: Any, expected: Any) -> list[str]:
    """The way in which each of several numbers is wrong."""
    with np.errstate(invalid="ignore"):
        numbers, wanted = (np.asarray(array).astype(np.float64).reshape(-1) for array in (got, expected))
    ways = np.where(np.isfinite(wanted), "off-by-ulp", "other").astype(object)
    ways[(numbers == 0) & (wanted != 0)] = "zero"
    ways[np.isinf(numbers)] = "infinity"
    ways[np.isnan(numbers)] = "nan"
    return list(ways)
