"""What is asked of the scorer: columns, loss, hyper-parameters, groups."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from focal_ref._arguments import check_call, check_choice
from focal_ref._definitions import LABELS, LOSS, SOFTMAX, Definition
from focal_ref._parameters import ENCODINGS, PRECISIONS, Parameters
from focal_ref.adapters.numpy import NumpyAdapter
from focal_ref.scoring.errors import ScoringError

LOSSES: Mapping[str, Definition] = {"binary": LOSS, "labels": LABELS, "softmax": SOFTMAX}
"""Which loss is taken, by the name of the option."""

BATCH_ELEMENTS = 1 << 19
"""Logits that are read and scored at once, by each worker."""

PART_ELEMENTS = 1 << 24
"""Logits from which on a part of the run is finished and kept."""


@dataclass(frozen=True)
class Options:
    """Everything that a result depends on, beside the input.

    Attributes
    ----------
    logits, targets
        Names of columns (Parquet) or arrays (Zarr).
    loss
        "binary": `focal_ref.loss`, one target a logit. "labels": `focal_ref.loss_from_labels`, one label a list of
        logits. "softmax": `focal_ref.softmax_loss`, the same.
    alpha, gamma
        As the loss takes them; a tuple gives each class its own. `score` has the defaults of the loss.
    encoding
        "binary" or "signed", with loss="binary".
    precision
        "exact" or "fast".
    classes
        How many logits a list holds; None where the type of the column says it, or the first list.
    group_by
        Columns whose values have sums of their own.
    by_class
        Whether classes have sums of their own.
    allow_infinite
        Whether infinite logits are scored, as their limits.
    part_rows
        Rows from which on a part of the run is finished and kept; None for `PART_ELEMENTS` logits.
    """

    logits: str = "logits"
    targets: str = "targets"
    loss: str = "binary"
    alpha: float | tuple[float, ...] | None = 0.25
    gamma: float | tuple[float, ...] = 2.0
    encoding: str = "binary"
    precision: str = "exact"
    classes: int | None = None
    group_by: tuple[str, ...] = ()
    by_class: bool = False
    allow_infinite: bool = False
    part_rows: int | None = None

    def __post_init__(self) -> None:
        """Check what can be checked without the input."""
        check_choice("loss", self.loss, tuple(LOSSES))
        check_choice("encoding", self.encoding, ENCODINGS)
        check_choice("precision", self.precision, PRECISIONS)
        if self.encoding != "binary" and self.loss != "binary":
            raise ScoringError(f"encoding: got {self.encoding!r} with loss={self.loss!r}; labels are class numbers")
        for name in ("classes", "part_rows"):
            number = getattr(self, name)
            if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
                raise ScoringError(f"{name}: got {number!r}; it is an integer >= 1")
        columns = [self.logits, self.targets, *self.group_by]
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise ScoringError(f"columns: got {twice[0]!r} twice; logits, targets and groups are different columns")

    @property
    def columns(self) -> list[str]:
        """Names of all columns that are read."""
        return [self.logits, self.targets, *self.group_by]

    @property
    def lists(self) -> bool:
        """Whether a row holds a list of logits."""
        return self.classes is not None

    @property
    def row_elements(self) -> int:
        """Logits a row."""
        return self.classes or 1

    @property
    def batch_rows(self) -> int:
        """Rows that are read and scored at once."""
        return max(1, BATCH_ELEMENTS // self.row_elements)

    @property
    def rows_a_part(self) -> int:
        """Rows from which on a part is full."""
        return self.part_rows or max(1, PART_ELEMENTS // self.row_elements)

    def with_classes(self, classes: int | None) -> "Options":
        """The options with the number of classes that the input has."""
        return replace(self, classes=classes)

    def parameters(self) -> Parameters:
        """The hyper-parameters of the loss, checked; kernels get one thread, as there are many parts at once."""
        definition = LOSSES[self.loss]
        shape = (0,) if self.classes is None else (0, self.classes)
        labels = shape[:1] if self.loss != "binary" else shape
        given: dict[str, Any] = {"alpha": self.alpha, "gamma": self.gamma, "precision": self.precision}
        if self.loss == "binary":
            given["encoding"] = self.encoding
        given = {name: np.asarray(value) if isinstance(value, tuple) else value for name, value in given.items()}
        logits, targets = np.empty(shape, np.float32), np.empty(labels, np.int64)
        _, _, parameters = check_call(NumpyAdapter(), definition, logits, targets, given)
        return replace(parameters, threads=1)

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        data = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in data.items()}
