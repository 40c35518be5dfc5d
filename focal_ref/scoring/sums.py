"""Sums of losses, in float64 and in the order of the rows, in total, by class and by group."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from focal_ref._kernels import host, rows
from focal_ref._kernels.dense import tree_sum
from focal_ref._parameters import IGNORE, ROWS
from focal_ref.scoring.batches import Array, Batch
from focal_ref.scoring.errors import ScoringError
from focal_ref.scoring.options import Options

MAXIMUM_GROUPS = 100_000
"""Values that one column to group by may have: sums of each are kept in memory."""

NEGATIVE, POSITIVE, BETWEEN = "negative", "positive", "between"
"""The classes of binary targets: 0 (or -1), 1, and what is between them."""


@dataclass
class Sum:
    """A sum of losses, and of how many elements and rows.

    The part that rounding cuts off is carried along (Neumaier's summation), so that the result is within an ulp or so
    of the sum of what was added.
    """

    loss: float = 0.0
    rest: float = 0.0
    elements: int = 0
    rows: int = 0

    def add(self, loss: float | str, elements: int, rows: int) -> None:
        """Add the next summand; JSON has infinity as text."""
        loss = float(loss)
        total = self.loss + loss
        if np.isfinite(total):
            larger, smaller = (self.loss, loss) if abs(self.loss) >= abs(loss) else (loss, self.loss)
            self.rest += (larger - total) + smaller
        self.loss = total
        self.elements += elements
        self.rows += rows

    @property
    def value(self) -> float:
        """The sum."""
        return self.loss + self.rest

    def as_list(self) -> list[Any]:
        """For JSON; a float's digits there are those that give it back."""
        return [self.value, self.elements, self.rows]


@dataclass
class Sums:
    """All sums of one run, or of one piece of it."""

    total: Sum = field(default_factory=Sum)
    classes: dict[Any, Sum] = field(default_factory=dict)
    groups: dict[str, dict[Any, Sum]] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Sums") -> None:
        """Add those of the piece that follows."""
        self.add_data(other.as_data())

    def add_data(self, data: dict[str, Any]) -> None:
        """Add what `as_data` gave."""
        self.total.add(*data["total"])
        for value, *numbers in data["classes"]:
            self.classes.setdefault(value, Sum()).add(*numbers)
        for name, entries in data["groups"].items():
            group = self.groups.setdefault(name, {})
            for value, *numbers in entries:
                group.setdefault(value, Sum()).add(*numbers)
            _check_size(name, len(group))
        for reason, count in data["rejected"].items():
            self.rejected[reason] = self.rejected.get(reason, 0) + count

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "total": self.total.as_list(),
            "classes": [[value, *total.as_list()] for value, total in self.classes.items()],
            "groups": {
                name: [[value, *total.as_list()] for value, total in group.items()]
                for name, group in self.groups.items()
            },
            "rejected": self.rejected,
        }


class Scorer:
    """Computes the losses of batches, and adds them up."""

    def __init__(self, options: Options) -> None:
        self.options = options

    @cached_property
    def _parameters(self) -> Any:
        return self.options.parameters()

    def add(self, batch: Batch, sums: Sums) -> None:
        """Add good rows."""
        if batch.rows == 0:
            return
        kernels = rows if self._parameters.form == ROWS else host
        total = kernels.total(batch.logits, batch.targets, self._parameters)
        elements = self._elements(batch)
        sums.total.add(total, int(elements.sum()), batch.rows)
        if not (self.options.by_class or self.options.group_by):
            return
        terms = np.empty(batch.logits.shape[:1] if self._parameters.form == ROWS else batch.logits.shape)
        kernels.elementwise(batch.logits, batch.targets, self._parameters, value=terms)
        for name in self.options.group_by:
            codes, values = batch.groups[name]
            _add_by_code(sums.groups.setdefault(name, {}), codes, values, terms, elements)
            _check_size(name, len(sums.groups[name]))
        if self.options.by_class:
            self._add_by_class(batch, sums.classes, terms, elements)

    def _elements(self, batch: Batch) -> Array:
        """Of each row, how many losses count in a mean."""
        each = 1 if self._parameters.form == ROWS else self.options.row_elements
        counts = np.full(batch.rows, each, np.int64)
        if self.options.loss != "binary" and batch.targets.dtype.kind != "u":
            counts[batch.targets == IGNORE] = 0
        return counts

    def _add_by_class(self, batch: Batch, classes: dict[Any, Sum], terms: Array, elements: Array) -> None:
        if self.options.loss == "softmax":
            labels = batch.targets.astype(np.int64)
            kept = labels >= 0
            names = list(range(self.options.row_elements))
            _add_by_code(classes, labels[kept], names, terms[kept], elements[kept])
        elif self.options.lists:
            present = elements > 0
            for number in range(self.options.row_elements):
                column = np.ascontiguousarray(terms[:, number])
                counted = int(present.sum())
                classes.setdefault(number, Sum()).add(float(tree_sum(column, column.size)), counted, counted)
        else:
            codes = np.full(batch.rows, 2, np.int64)
            codes[batch.targets == (-1 if self.options.encoding == "signed" else 0)] = 0
            codes[batch.targets == 1] = 1
            _add_by_code(classes, codes, [NEGATIVE, POSITIVE, BETWEEN], terms, elements)


def _add_by_code(sums: dict[Any, Sum], codes: Array, values: list[Any], terms: Array, elements: Array) -> None:
    """Add up the rows of each code, in their order."""
    # Sorting small integers takes one or two passes.
    small = codes.astype(np.min_scalar_type(len(values)))
    order = np.argsort(small, kind="stable")
    bounds = np.searchsorted(small[order], np.arange(len(values) + 1))
    sorted_terms, sorted_elements = terms[order], elements[order]
    for code, value in enumerate(values):
        start, stop = int(bounds[code]), int(bounds[code + 1])
        if start == stop:
            continue
        piece = np.ascontiguousarray(sorted_terms[start:stop]).reshape(-1)
        loss = float(tree_sum(piece, piece.size))
        sums.setdefault(value, Sum()).add(loss, int(sorted_elements[start:stop].sum()), stop - start)


def _check_size(name: str, size: int) -> None:
    if size > MAXIMUM_GROUPS:
        raise ScoringError(f"group_by: column {name!r} has more than {MAXIMUM_GROUPS} values; group by a coarser one")
