"""What is kept of the record of a run: outcomes, errors by regime, faults with their causes; no timings."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from catalogue import Implementation

from focal_ref.conformance.diagnosis.causes import HOW
from focal_ref.conformance.gate import SELF_CHECK
from focal_ref.conformance.reports.record import Record
from focal_ref.conformance.reports.rows import NOT_CLAIMED, rows

PLOTTED = ("VAL", "GRAD", "EXT", "LAB", "SMX", "STAR", "REL")
"""Areas whose inputs go through the regimes on purpose."""

REGIMES: Mapping[str, tuple[float, float]] = {
    "below -40": (-float("inf"), -40),
    "-40 to -16": (-40, -16),
    "-16 to -4": (-16, -4),
    "-4 to 4": (-4, 4),
    "4 to 16": (4, 16),
    "16 to 40": (16, 40),
    "above 40": (40, float("inf")),
}
"""Margins (2t - 1) x, of hard targets: from badly wrong to easy."""

OTHER_REGIMES = {"-inf": "infinite", "inf": "infinite", "below": "below -40", "above": "above 40", "nan": "NaN"}
SOFT, WITHOUT_AXIS = "soft targets", "other"
MAXIMUM_CAUSES = 1


def summary(entry: Implementation, record: Record) -> dict[str, Any]:
    """What is kept of a record, without timings."""
    head = record.head
    profile = head["profile"]
    items = [json.loads(line) for line in record.text.splitlines() if line.strip()]
    items = [item for item in items if item["kind"] == "item" and item["requirement"] != SELF_CHECK]
    return {
        "name": entry.name,
        "status": "run",
        "date": head["date"][:10],
        "target": {name: text for name, text in head["target"].items() if name != "target"},
        "versions": dict(head["versions"]),
        "platform": head["platform"],
        "level": head["level"],
        "profile": {
            "kind": profile["kind"],
            "conventions": {name: str(value) for name, value in profile["conventions"].items()},
            "tiers": profile["tiers"],
        },
        "verdict": record.reason,
        "requirements": _requirements(record),
        "errors": _errors(items, {name: entry.area for name, entry in record.requirements.items()}),
        "faults": _faults(items),
    }


def _requirements(record: Record) -> dict[str, dict[str, str]]:
    """Outcome by requirement and format, with the error nearest to its budget and that budget, in ulp."""
    table: dict[str, dict[str, str]] = {}
    for row in rows(record):
        if row.name == SELF_CHECK:
            continue
        cell = [row.outcome]
        if row.result is not None and row.result.budget:
            cell += [_number(row.result.error), _number(row.result.budget)]
        elif row.outcome == NOT_CLAIMED:
            cell.append(row.accuracy.removeprefix("no "))
        table.setdefault(row.name, {})[row.dtype] = " ".join(cell)
    return table


def _errors(items: Sequence[Mapping[str, Any]], areas: Mapping[str, str]) -> dict[str, dict[str, dict[str, str]]]:
    """By format, quantity and regime: the error that is largest in proportion to its budget, and that budget."""
    worst: dict[tuple[str, str, str], tuple[float, float, float]] = {}
    for item in items:
        if areas[item["requirement"]] not in PLOTTED or not item["dtype"]:
            continue
        for part in item["regimes"]:
            for place, error, budget, *_ in part["bins"]:
                key = (item["dtype"], part["quantity"], _regime(part["axis"], place))
                ratio = _ratio(float(error), float(budget))
                if key not in worst or ratio > worst[key][0]:
                    worst[key] = (ratio, float(error), float(budget))
    table: dict[str, dict[str, dict[str, str]]] = {}
    for (dtype, quantity, regime), (_, error, budget) in worst.items():
        table.setdefault(dtype, {}).setdefault(quantity, {})[regime] = f"{_number(error)} {_number(budget)}"
    return table


def _regime(axis: str, place: int | str) -> str:
    if axis == "logit":
        return SOFT if not isinstance(place, str) or place in ("below", "above") else OTHER_REGIMES[place]
    if axis == "none" or place == "all":
        return WITHOUT_AXIS
    if isinstance(place, str):
        return OTHER_REGIMES[place]
    return next(name for name, (low, high) in REGIMES.items() if low <= place < high)


def _faults(items: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """By requirement: in which formats it fails, how, and what probably causes it."""
    faults: dict[str, dict[str, Any]] = {}
    for item in items:
        if item["passed"]:
            continue
        fault = faults.setdefault(item["requirement"], {"dtypes": [], "ways": [], "causes": []})
        fault["dtypes"].append(item["dtype"])
        fault["ways"] = sorted({*fault["ways"], *item.get("cases", {}).get("failing", {})})
        for cause in item.get("causes", ()):
            if (
                cause["mutant"] not in (one["mutant"] for one in fault["causes"])
                and len(fault["causes"]) < MAXIMUM_CAUSES
            ):
                fault["causes"].append(_cause(cause))
    return faults


def _cause(cause: Mapping[str, Any]) -> dict[str, str]:
    """A known fault that explains what was found, as text."""
    kept = {name: str(cause[name]) for name in ("mutant", "title", "advice")}
    kept["how"] = HOW[cause["by"]].format(cause["explained"])
    if cause["numbers"]:
        kept["numbers"] = ", ".join(f"{name} = {value}" for name, value in cause["numbers"].items())
    if cause["seen"] and not cause["seen"][0].startswith("nobody"):
        kept["seen"] = "; ".join(cause["seen"][:2])
    return kept


def _ratio(error: float, budget: float) -> float:
    return float("inf") if error != error or not budget else error / budget


def _number(value: float) -> str:
    """Three digits: what differs between machines in the fourth is no difference."""
    return f"{value:.3g}"
