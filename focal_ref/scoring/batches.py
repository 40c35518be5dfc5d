"""A few hundred thousand rows of any source as NumPy arrays, and what is the matter with each row."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_ref._parameters import IGNORE
from focal_ref.scoring.options import Options

Array = NDArray[Any]


class Problem(IntEnum):
    """Why a row cannot be scored; of several reasons a row has the first."""

    NONE = 0
    NULL_LOGITS = 1
    NULL_TARGETS = 2
    LENGTH_OF_LOGITS = 3
    LENGTH_OF_TARGETS = 4
    NULL_LOGIT = 5
    NULL_TARGET = 6
    NAN_LOGIT = 7
    INFINITE_LOGIT = 8
    TARGET = 9


def reason(problem: int, options: Options) -> str:
    """The problem in words."""
    lists = f"the list of {{}} does not have {options.classes} elements"
    return {
        Problem.NULL_LOGITS: "logits are null",
        Problem.NULL_TARGETS: "targets are null",
        Problem.LENGTH_OF_LOGITS: lists.format("logits"),
        Problem.LENGTH_OF_TARGETS: lists.format("targets"),
        Problem.NULL_LOGIT: "the list of logits holds null",
        Problem.NULL_TARGET: "the list of targets holds null",
        Problem.NAN_LOGIT: "a logit is NaN",
        Problem.INFINITE_LOGIT: "a logit is infinite",
        Problem.TARGET: f"{_subject(options)} is not {_allowed(options)}",
    }[Problem(problem)]


def _subject(options: Options) -> str:
    return "a target" if options.loss == "binary" else "the label"


def _allowed(options: Options) -> str:
    if options.loss == "binary":
        return "in [0, 1]" if options.encoding == "binary" else "-1 or +1"
    classes = f"a class 0..{options.row_elements - 1}"
    codes = f"IGNORE = {IGNORE}" if options.loss == "softmax" else f"BACKGROUND = -1 or IGNORE = {IGNORE}"
    return f"{classes}, {codes}"


@dataclass
class Batch:
    """Consecutive rows.

    Attributes
    ----------
    first
        Number of the first row in its file or store.
    logits, targets
        One row each; zeros where a row has a problem.
    problems
        A `Problem` a row.
    groups
        Of each column to group by: the number of the value of each row, and the values.
    row
        The row as it was read, by its index in the batch.
    """

    first: int
    logits: Array
    targets: Array
    problems: NDArray[np.uint8]
    groups: dict[str, tuple[NDArray[np.int64], list[Any]]] = field(default_factory=dict)
    row: Callable[[int], dict[str, Any]] = lambda index: {}

    @property
    def rows(self) -> int:
        """How many there are, good and bad."""
        return len(self.problems)

    def note(self, bad: Array, problem: Problem) -> None:
        """Rows that have a problem, unless they have one already."""
        self.problems[bad & (self.problems == 0)] = problem

    def check_values(self, options: Options) -> None:
        """Note NaN, infinities where they are not allowed, and targets out of range."""
        finite = np.isfinite(self.logits)
        if not finite.all():
            self.note(_any(np.isnan(self.logits)), Problem.NAN_LOGIT)
            if not options.allow_infinite:
                self.note(_any(~finite), Problem.INFINITE_LOGIT)
        valid = _valid_targets(self.targets, options)
        if not valid.all():
            self.note(_any(~valid), Problem.TARGET)

    def good(self) -> "Batch":
        """The rows without a problem."""
        if not self.problems.any():
            return self
        keep = self.problems == 0
        groups = {name: (codes[keep], values) for name, (codes, values) in self.groups.items()}
        return Batch(self.first, self.logits[keep], self.targets[keep], self.problems[keep], groups)


def _any(bad: Array) -> Array:
    """Rows with anything bad in them."""
    return bad if bad.ndim == 1 else np.any(bad, axis=1)


def _valid_targets(targets: Array, options: Options) -> Array:
    if targets.dtype.kind == "b":
        return np.ones(targets.shape, np.bool_)
    if options.loss == "binary":
        if options.encoding == "signed":
            hard: Array = (targets == 1) | (targets == -1)
            return hard
        # NaN is in no range.
        shares: Array = (targets >= 0) & (targets <= 1)
        return shares
    lowest = 0 if options.loss == "softmax" else -1
    in_range: Array = (targets >= lowest) & (targets < options.row_elements)
    return in_range if targets.dtype.kind == "u" else in_range | (targets == IGNORE)
