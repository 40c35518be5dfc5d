"""Errors by regime: the largest ones in bins of the margin, small enough to be kept in the record of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_ref.conformance.targets import ROWS, Call

Array = NDArray[Any]

WIDTH = 2
LIMIT = 40
"""Bins are so wide, from -LIMIT to LIMIT; what lies beyond, infinite and NaN have a bin each."""

AXES = ("margin", "logit", "none")
"""What is binned: ``(2t - 1) x`` of hard targets, x of soft ones, nothing where neither is known of a result."""

_EDGES = tuple(range(-LIMIT, LIMIT, WIDTH))

BINS: tuple[int | str, ...] = ("-inf", "below", *_EDGES, "above", "inf", "nan", "all")
"""Lower edges of the bins, and the names of the others, in order; "all" is the one bin where there is no axis."""


@dataclass(frozen=True)
class Bin:
    """The worst result of a bin.

    Attributes
    ----------
    error, budget
        Of the result whose error is largest in proportion to its budget, in ulp.
    count
        Results in the bin.
    case
        Id of the worst result.
    """

    error: float
    budget: float
    count: int
    case: str

    @property
    def ratio(self) -> float:
        """The error in proportion to its budget."""
        return self.error / self.budget if self.budget else float("inf")

    def merged(self, other: "Bin") -> "Bin":
        """The worse of two, and both counts."""
        worst = other if not other.ratio <= self.ratio else self
        return Bin(worst.error, worst.budget, self.count + other.count, worst.case)


class Regimes:
    """Largest errors by quantity, axis and bin."""

    def __init__(self) -> None:
        self.bins: dict[tuple[str, str], dict[int | str, Bin]] = {}

    def add(self, quantity: str, axis: str, positions: Array, error: Array, allowed: Array, ids: Sequence[str]) -> None:
        """Count results in; all arrays are flat and of one length.

        Parameters
        ----------
        quantity
            Such as "value" or "gradient".
        axis
            One of `AXES`.
        positions
            Where the results lie on the axis.
        error, allowed
            In ulp.
        ids
            Cases of the results.
        """
        with np.errstate(all="ignore"):
            ratio = np.nan_to_num(error / allowed, nan=np.inf)
        places = bin_places(positions) if axis != "none" else np.full(error.shape, BINS.index("all"))
        # By bin, and in it by ratio: the last of a bin is its worst.
        order = np.lexsort((ratio, places))
        found, starts, counts = np.unique(places[order], return_index=True, return_counts=True)
        for place, start, count in zip(found, starts, counts, strict=True):
            worst = int(order[start + count - 1])
            self._merge(
                (quantity, axis),
                BINS[int(place)],
                Bin(float(error[worst]), float(allowed[worst]), int(count), ids[worst]),
            )

    def merge(self, other: "Regimes") -> None:
        """Add what others are."""
        for key, bins in other.bins.items():
            for place, bin in bins.items():
                self._merge(key, place, bin)

    def record(self) -> list[dict[str, Any]]:
        """As JSON data: for each quantity and axis its bins that are not empty.

        A bin is ``[lower edge or name, error, budget, count, case]``; infinite errors are text.
        """
        return [
            {
                "quantity": quantity,
                "axis": axis,
                "bins": [
                    [place, _short(bin.error), _short(bin.budget), bin.count, bin.case]
                    for place in BINS
                    if (bin := bins.get(place)) is not None
                ],
            }
            for (quantity, axis), bins in self.bins.items()
        ]

    @classmethod
    def from_record(cls, records: Sequence[Mapping[str, Any]]) -> "Regimes":
        """The regimes of which `record` made this data."""
        regimes = cls()
        for record in records:
            for place, error, budget, count, case in record["bins"]:
                bin = Bin(float(error), float(budget), count, case)
                regimes._merge((record["quantity"], record["axis"]), place, bin)
        return regimes

    def _merge(self, key: tuple[str, str], place: int | str, bin: Bin) -> None:
        bins = self.bins.setdefault(key, {})
        bins[place] = bins[place].merged(bin) if place in bins else bin


def bin_places(positions: Array) -> NDArray[np.int64]:
    """Index of the bin in `BINS` of each position."""
    wide = np.asarray(positions, dtype=np.float64)
    # Shifted after rounding down: a small negative number and LIMIT add up to LIMIT.
    inside = np.floor(np.clip(np.nan_to_num(wide), -LIMIT, LIMIT - WIDTH) / WIDTH) + LIMIT // WIDTH
    conditions = [np.isnan(wide), wide == -np.inf, wide < -LIMIT, wide == np.inf, wide >= LIMIT]
    names = [BINS.index(name) for name in ("nan", "-inf", "below", "inf", "above")]
    return np.asarray(np.select(conditions, names, inside + BINS.index(-LIMIT)), dtype=np.int64)


def positions_of(call: Call, count: int, entries: int = 1) -> tuple[str, Array]:
    """The axis of a call, and where each of `count` results lies on it, `entries` of them for each row.

    Notes
    -----
    Probabilities count by their logit. In rows a result of a label lies at the margin of its row, ``x_label`` less the
    logsumexp of the other logits; rows of dense targets, and results whose shape is not that of the logits or of the
    rows, have no axis.
    """
    with np.errstate(all="ignore"):
        if call.function == ROWS:
            return _positions_of_rows(call, count, entries)
        logits = np.asarray(call.logits).astype(np.float64)
        if call.function == "loss_from_probabilities":
            logits = np.log(logits) - np.log1p(-logits)
        targets = np.asarray(call.targets).astype(np.float64)
        if call.function == "loss_from_labels" or call.encoding == "labels":
            if targets.shape != logits.shape[:-1]:
                return "none", np.zeros(count)
            targets = (targets[..., None] == np.arange(logits.shape[-1])).astype(np.float64)
        elif targets.shape != logits.shape:
            targets = np.broadcast_to(targets, logits.shape)
        if count > logits.size:
            return "none", np.zeros(count)
        hard = bool(np.all((targets == 0) | (targets == 1)))
        flat = np.where(targets == 1, logits, -logits) if hard else logits
        return ("margin" if hard else "logit"), flat.reshape(-1)[:count]


def _positions_of_rows(call: Call, count: int, entries: int) -> tuple[str, Array]:
    nowhere = "none", np.zeros(count)
    axis = call.parameters.get("axis", -1)
    labels = np.asarray(call.targets)
    logits = np.moveaxis(np.asarray(call.logits).astype(np.float64), axis, -1)
    if labels.dtype.kind not in "iu" or labels.shape != logits.shape[:-1]:
        return nowhere
    rows, labels = logits.reshape(-1, logits.shape[-1]), labels.reshape(-1)
    if not np.all((labels >= 0) & (labels < rows.shape[-1])):
        return nowhere
    own = np.arange(rows.shape[-1]) == labels[:, None]
    margins = rows[own] - np.logaddexp.reduce(np.where(own, -np.inf, rows), axis=-1)
    if entries == 1 and count == rows.size:
        entries = rows.shape[-1]
    if count > entries * margins.size or (entries > 1 and axis not in (-1, call.logits.ndim - 1)):
        return nowhere
    return "margin", np.repeat(margins, entries)[:count]


def _short(value: float) -> float | str:
    """Six digits, which suffice for a plot; text where it is infinite or NaN."""
    return float(f"{value:.6g}") if np.isfinite(value) else repr(float(value))
