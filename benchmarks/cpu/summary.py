"""From the seconds of all rounds to the numbers of the page: medians, ratios within rounds, rows of tables."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contestants import ALL, FLOOR, Contestant

Measured = dict[str, Any]

MEGABYTE = 1e6


@dataclass(frozen=True)
class Row:
    """One contestant of a workload; None where it was not measured.

    Attributes
    ----------
    kind
        "ours", "peer" or "floor".
    fresh, reused
        Milliseconds a call, with new arrays and with memory that is used again.
    fresh_ratio, reused_ratio
        Medians of the rounds' ratios to the streaming floor.
    extra_megabytes
        Growth of the resident size, the results included.
    value_error, gradient_error
        As in the results: a number, or "not finite".
    """

    name: str
    kind: str
    targets: str
    fresh: float | None = None
    fresh_ratio: float | None = None
    reused: float | None = None
    reused_ratio: float | None = None
    extra_megabytes: float | None = None
    value_error: float | str | None = None
    gradient_error: float | str | None = None


def names(measured: Measured) -> list[str]:
    """Contestants that were timed, in the order of the catalogue."""
    timed = {name for heat in measured["heats"] for name in heat}
    return [name for name in ALL if name in timed]


def milliseconds(measured: Measured, name: str) -> float | None:
    """Median of a contestant's rounds."""
    seconds = [each for heat in measured["heats"] for each in heat.get(name, [])]
    return 1e3 * statistics.median(seconds) if seconds else None


def ratio(measured: Measured, name: str, reference: str) -> float | None:
    """Median of the rounds' ratios; through the floor where the two were never in one heat."""
    direct = _within_rounds(measured, name, reference)
    if direct is not None:
        return direct
    above, below = (_within_rounds(measured, each, FLOOR.name) for each in (name, reference))
    return above / below if above is not None and below is not None else None


def _within_rounds(measured: Measured, name: str, reference: str) -> float | None:
    ratios = [
        a / b
        for heat in measured["heats"]
        if name in heat and reference in heat
        for a, b in zip(heat[name], heat[reference], strict=True)
    ]
    return statistics.median(ratios) if ratios else None


def extra_megabytes(measured: Measured, name: str) -> float | None:
    """Growth of the resident size in a call."""
    extra = measured["contestants"].get(name, {}).get("extra_bytes")
    return None if extra is None else extra / MEGABYTE


def fastest(measured: Measured, reference: str, chosen: Sequence[Contestant]) -> tuple[str, float] | None:
    """The one with the smallest ratio to the reference, and that ratio."""
    ratios = {each.name: found for each in chosen if (found := ratio(measured, each.name, reference)) is not None}
    return min(ratios.items(), key=lambda item: item[1]) if ratios else None


def rows(fresh: Measured | None, reused: Measured | None, errors: dict[str, Any], sample: str) -> list[Row]:
    """The table of one workload: those that were timed, the slowest last."""
    modes = [each for each in (fresh, reused) if each]
    timed = {name for each in modes for name in names(each)}
    found = [_row(ALL[name], fresh, reused, errors, sample) for name in ALL if name in timed]
    return sorted(found, key=lambda row: row.fresh or row.reused or 0.0)


def failures(modes: dict[str, Measured]) -> list[str]:
    """Who could not be timed, in which mode, and why."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for mode, measured in modes.items():
        for name, about in measured["contestants"].items():
            if "failed" in about:
                reasons.setdefault((name, about["failed"]), []).append(mode)
    return [
        f"{name}{'' if len(failed) == len(modes) else f' ({failed[0]})'}: {reason}"
        for (name, reason), failed in reasons.items()
    ]


def _row(
    contestant: Contestant,
    fresh: Measured | None,
    reused: Measured | None,
    errors: dict[str, Any],
    sample: str,
) -> Row:
    name = contestant.name
    kind = "ours" if contestant.is_ours else "peer" if contestant.is_peer else "floor"
    # Whether targets are built or given makes no difference to the error.
    error = errors.get(name, errors.get(name.replace(", one-hot built", ""), {})).get(sample, {})
    times = [milliseconds(each, name) if each else None for each in (fresh, reused)]
    ratios = [_within_rounds(each, name, FLOOR.name) if each else None for each in (fresh, reused)]
    if kind == "floor":
        # It always writes to memory that exists.
        times[0] = ratios[0] = None
    return Row(
        name,
        kind,
        contestant.targets,
        times[0],
        ratios[0],
        times[1],
        ratios[1],
        extra_megabytes(fresh, name) if fresh and kind != "floor" else None,
        error.get("value"),
        error.get("gradient"),
    )
