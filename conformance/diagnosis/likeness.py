"""How far the numbers of suspects are those of a target, where either of them is wrong."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from focal_ref.conformance.diagnosis.recording import Answer
from focal_ref.conformance.targets import Array

COARSE, FINE = "coarse", "fine"
"""Two sizes of error: wrong formulas are off by many times the rounding that everybody has, inaccurate ones are not."""

_TOLERANCES = {
    COARSE: {"float64": 1e-9, "float32": 5e-4, "float16": 3e-2, "bfloat16": 6e-2},
    FINE: {"float64": 3e-15, "float32": 1.5e-6, "float16": 1e-2, "bfloat16": 8e-2},
}
_SMALLEST = {"float32": 2.0**-120, "float16": 2.0**-18, "bfloat16": 2.0**-110}
"""Numbers below are few in a format, and say little."""

EXPLAINED = 0.1
"""A suspect explains a wrong number if it takes away all but this share of the error."""

SMALL, SIMILAR, ALMOST = 0.05, 1000.0, 0.8
"""Rounding errors are nobody's twice: of those below this share of the number only the size is compared."""

MAXIMUM_NUMBERS = 96
"""Compared of one answer: those that are wrong, the last and the first ones."""


Failed = Mapping[str, Collection[int]]
"""Positions in the results of one answer, by name."""


class Question(NamedTuple):
    """What is asked.

    Attributes
    ----------
    method, arguments
        Of a target.
    size
        `COARSE` or `FINE`: the errors that count.
    """

    method: str
    arguments: tuple[object, ...]
    size: str


class Numbers(NamedTuple):
    """The answers to several questions in one row.

    Attributes
    ----------
    values
        All numbers, behind what tells the form of each answer.
    present
        Whether there is such a number; not after an error, and not in a result of another shape.
    """

    values: Array
    present: Array


@dataclass(frozen=True)
class Likeness:
    """How well a suspect explains a target; every answer weighs the same, however many numbers it has.

    Attributes
    ----------
    explained
        Share of the target's wrong numbers that are the suspect's too; 0 if it has none.
    shared
        Share of the suspect's wrong numbers that are the target's too; 1 if it has none.
    """

    explained: float = 0.0
    shared: float = 1.0


class Layout:
    """Where the numbers of the answers to some questions stand in a row.

    Parameters
    ----------
    questions
        What was asked.
    rights, targets
        The answers of the right form, by which a row is laid out, and of the target.
    failed
        Of each question by result: the positions of numbers that count as wrong. None where all do that differ.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        rights: Sequence[Answer],
        targets: Sequence[Answer],
        failed: Sequence[Failed | None] | None = None,
    ) -> None:
        self.questions = list(questions)
        self.rights, self._targets = list(rights), list(targets)
        self._failed = [None] * len(self.questions) if failed is None else list(failed)
        counts: list[Array] = []
        self._chosen: list[dict[str, Array]] = []
        self._names: list[tuple[str, ...]] = []
        self._forms: list[int] = []
        tolerances, smallest, of_question = [], [], []
        for place, (question, right, target) in enumerate(zip(questions, rights, targets, strict=True)):
            chosen = {}
            names = tuple(sorted({*(right.results or ()), *(target.results or ())}))
            count = len(_form(right, names))
            self._names.append(names)
            self._forms.append(count)
            counts.append(np.ones(count, bool))
            tolerances.append(np.zeros(count))
            smallest.append(np.zeros(count))
            for name, array in (right.results or {}).items():
                other = (target.results or {}).get(name)
                limit = self._failed[place]
                some = None if limit is None else np.array(sorted(limit.get(name, ())), dtype=np.int64)
                chosen[name] = _positions(array, other, question.size, some)
                everything = np.ones(chosen[name].size, bool)
                counts.append(everything if some is None else np.isin(chosen[name], some))
                dtype = array.dtype.name if array.dtype.kind == "f" or array.dtype.name == "bfloat16" else "whole"
                tolerance = _TOLERANCES[question.size].get(dtype, 0.0)
                if tolerance:
                    # Where one result is of a narrower format, all were computed in it.
                    sizes = _TOLERANCES[question.size]
                    given = (sizes.get(one.dtype.name, 0.0) for one in (target.results or {}).values())
                    tolerance = max([tolerance, *given])
                tolerances.append(np.full(chosen[name].size, tolerance))
                smallest.append(np.full(chosen[name].size, _SMALLEST.get(dtype, 2.0**-1000 if tolerance else 0.0)))
                count += chosen[name].size
            self._chosen.append(chosen)
            of_question.append(np.full(count, place))
        nothing = np.zeros(0)
        self._tolerances = np.concatenate([nothing, *tolerances])
        self._smallest = np.concatenate([nothing, *smallest])
        self._counts = np.concatenate([nothing.astype(bool), *counts])
        self._starts = np.cumsum([0, *(part.size for part in of_question)])[:-1]
        self.right, self.target = self.row(rights), self.row(targets)

    def row(self, answers: Sequence[Answer | None]) -> Numbers:
        """Answers as a row; of a question without an answer those of the right form."""
        values: list[Array] = []
        present: list[Array] = []
        for answer, right, names, chosen in zip(answers, self.rights, self._names, self._chosen, strict=True):
            given = right if answer is None else answer
            form = _form(given, names)
            values.append(np.array([float(hash(part) % (1 << 40)) for part in form]))
            present.append(np.ones(len(form), bool))
            for name, positions in chosen.items():
                result = (given.results or {}).get(name)
                fits = result is not None and right.results is not None and result.shape == right.results[name].shape
                numbers = result.reshape(-1)[positions] if fits and result is not None else None
                values.append(np.zeros(positions.size) if numbers is None else numbers.astype(np.float64))
                present.append(np.full(positions.size, numbers is not None))
        return Numbers(np.concatenate([np.zeros(0), *values]), np.concatenate([np.zeros(0, bool), *present]))

    @property
    def _columns(self) -> tuple[list[Any], ...]:
        return self.questions, self.rights, self._targets, self._failed

    def part(self, places: Sequence[int]) -> "Layout":
        """Of some of the questions."""
        return Layout(*([column[i] for i in places] for column in self._columns))

    def likeness(self, suspects: Numbers, base: Numbers) -> tuple[Array, Array]:
        """Shares explained and shared of each row of suspects, where `base` is what is known already."""
        target = self.target
        wrong = ~self._alike(target, base) & target.present & self._counts
        deviates = ~self._alike(suspects, base) & target.present
        same = self._degree(suspects, base, wrong) * deviates
        explained = self._share(same * wrong, np.broadcast_to(wrong, same.shape), 0.0)
        return explained, self._share(same, deviates, 1.0)

    def distances(self, suspects: Numbers) -> Array:
        """Mean distance of each row from the target, where either is wrong, in errors of the target; at most 1 each."""
        differs = (
            (~self._alike(self.target, self.right) & self._counts) | ~self._alike(suspects, self.right)
        ) & self.target.present
        with np.errstate(all="ignore"):
            off = np.abs(self.target.values - self.right.values)
            left = np.abs(suspects.values - self.target.values)
            part = np.where(self._alike(suspects, self.target), 0.0, np.nan_to_num(left / off, nan=1.0, posinf=1.0))
        return self._share(np.minimum(part, 1.0) * differs, differs, 1.0)

    def deviating(self, suspects: Numbers) -> Array:
        """Which rows have wrong numbers."""
        return np.asarray(np.any(~self._alike(suspects, self.right), axis=-1))

    def first_wrong(self) -> list[int]:
        """Of each result of the target with wrong numbers: the position of the first."""
        found = set()
        for target, right in zip(self._targets, self.rights, strict=True):
            for name, array in (right.results or {}).items():
                other = (target.results or {}).get(name)
                if other is not None and other.shape == array.shape and array.dtype.kind == "f" and array.size > 1:
                    different = ~np.isclose(other.astype(np.float64).ravel(), array.astype(np.float64).ravel(), 1e-3, 0)
                    found |= {int(place) for place in np.flatnonzero(different)[:1] if place}
        return sorted(found)

    def is_wrong(self) -> Array:
        """Which answers of the target have wrong numbers."""
        wrong = ~self._alike(self.target, self.right) & self.target.present & self._counts
        return np.asarray(self._sums(wrong) > 0)

    def together(self, suspects: Numbers, base: Numbers) -> Numbers:
        """What faults that multiply the right numbers give together with those that are known already."""
        right, x, y = self.right.values, base.values, suspects.values
        with np.errstate(all="ignore"):
            product = np.where(y == right, x, np.where(x == right, y, x * (y / right)))
        # An error, or another shape, is that of either.
        is_form = np.zeros(right.size, bool)
        for start, count in zip(self._starts, self._forms, strict=True):
            is_form[start : start + count] = True
        product = np.where(is_form, np.where(x == right, y, x), product)
        return Numbers(product, np.asarray(base.present & suspects.present))

    def _share(self, part: Array, whole: Array, otherwise: float) -> Array:
        """Mean over the questions that have any of it."""
        parts, wholes = self._sums(part), self._sums(whole)
        with np.errstate(all="ignore"):
            shares = np.where(wholes > 0, parts / wholes, 0.0).sum(axis=-1) / np.sum(wholes > 0, axis=-1)
        return np.asarray(np.nan_to_num(shares, nan=otherwise))

    def _sums(self, numbers: Array) -> Array:
        """Of each answer."""
        if not self.questions:
            return np.zeros((*numbers.shape[:-1], 0))
        return np.asarray(np.add.reduceat(np.asarray(numbers, dtype=np.float64), self._starts, axis=-1))

    def _degree(self, suspects: Numbers, base: Numbers, wrong: Array) -> Array:
        """1 where a suspect has the target's number, less where its error is a rounding of the same size."""
        same = self._alike(suspects, self.target)
        with np.errstate(all="ignore"):
            mine, known, other = self.target.values, base.values, suspects.values
            off, by_suspect, left = np.abs(mine - known), np.abs(other - known), np.abs(mine - other)
            both = suspects.present & self.target.present & wrong
            same |= both & np.isfinite(off) & (left <= EXPLAINED * off) & (self._tolerances > 0)
            small = SMALL * np.abs(known)
            similar = (by_suspect * SIMILAR >= off) & (by_suspect <= off * SIMILAR)
            similar &= (off <= small) & (by_suspect <= small) & both
        return np.where(same, 1.0, np.where(similar, ALMOST, 0.0))

    def _alike(self, a: Numbers, b: Numbers) -> Array:
        """Which numbers are the same but for rounding."""
        with np.errstate(all="ignore"):
            x, y = np.abs(a.values), np.abs(b.values)
            close = np.abs(a.values - b.values) <= self._tolerances * np.maximum(x, y)
            tiny = (x < self._smallest) & (y < self._smallest)
            equal = close | tiny | (a.values == b.values) | (np.isnan(a.values) & np.isnan(b.values))
        return np.asarray(np.where(a.present & b.present, equal, a.present == b.present))


def _positions(right: Array, target: Array | None, size: str, failed: Array | None) -> Array:
    """Which numbers of a result are compared; those that failed among them, where they are known."""
    if right.size <= MAXIMUM_NUMBERS:
        return np.arange(right.size)
    third = MAXIMUM_NUMBERS // 3
    some = [np.arange(third), np.linspace(0, right.size - 1, third).astype(np.int64), right.size - 1 - np.arange(third)]
    if failed is not None:
        some.append(failed[np.linspace(0, failed.size - 1, min(failed.size, third)).astype(np.int64)])
    elif target is not None and target.shape == right.shape:
        tolerance = _TOLERANCES[size].get(right.dtype.name, 0.0)
        with np.errstate(all="ignore"):
            t, r = target.astype(np.float64).ravel(), right.astype(np.float64).ravel()
            wrong = np.flatnonzero(~((np.abs(t - r) <= tolerance * np.abs(r)) | (t == r) | (np.isnan(t) & np.isnan(r))))
        some.append(wrong[np.linspace(0, wrong.size - 1, min(wrong.size, third)).astype(np.int64)])
    return np.unique(np.concatenate(some))


def _form(answer: Answer, names: Sequence[str]) -> tuple[object, ...]:
    """What there is of an answer beside its numbers: whether it is an error, which results, their shapes and dtypes."""
    results = answer.results
    parts: list[object] = [results is None, None if results is None else tuple(sorted(results))]
    for name in names:
        array = None if results is None else results.get(name)
        parts += [None, None] if array is None else [array.shape, array.dtype.name]
    return tuple(parts)
