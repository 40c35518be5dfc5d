"""The rows of a report: one for each item, and one for each requirement that was not claimed or not run."""

from dataclasses import dataclass

from focal_ref.conformance.gate import SELF_CHECK, Result
from focal_ref.conformance.reports.record import Record

PASS = "pass"
FAIL = "FAIL"
WAIVED = "WAIVED"
TENTATIVE = "TENTATIVE"
NOT_RUN = "NOT-RUN"
NOT_CLAIMED = "NOT-CLAIMED"

OUTCOMES = (FAIL, WAIVED, TENTATIVE, NOT_RUN, PASS, NOT_CLAIMED)
"""Worst first; what is tentative failed and does not count yet."""


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes
    ----------
    name, dtype
        Id of the requirement and format, or "self-check" and which one.
    outcome
        One of `OUTCOMES`.
    accuracy
        The largest error against its budget, or what is missing; "" where nothing was measured.
    sentence
        What is required.
    area
        Of the requirement; "" for a self-check.
    result
        What was run.
    """

    name: str
    dtype: str
    outcome: str
    accuracy: str
    sentence: str
    area: str = ""
    result: Result | None = None


def rows(record: Record) -> list[Row]:
    """All rows, self-checks first, then in the order of the requirements."""
    table = []
    for result in record.results:
        outcome = outcome_of(result)
        accuracy = f"{number(result.error)} of {number(result.budget)}" if result.budget else ""
        table.append(_row(record, result.item.name, result.item.dtype, outcome, accuracy, result))
    table += [_row(record, item.name, item.dtype, NOT_RUN, "") for item in record.not_run]
    table += [_row(record, name, "", NOT_CLAIMED, f"no {capability}") for name, capability in record.not_claimed]
    order = {name: position for position, name in enumerate((SELF_CHECK, *record.requirements))}
    return sorted(table, key=lambda row: order[row.name])


def _row(record: Record, name: str, dtype: str, outcome: str, accuracy: str, result: Result | None = None) -> Row:
    if name == SELF_CHECK:
        return Row(name, "", outcome, accuracy, f"built in: {dtype}", "", result)
    requirement = record.requirements[name]
    return Row(name, dtype, outcome, accuracy, requirement.sentence, requirement.area, result)


def outcome_of(result: Result) -> str:
    """One of `OUTCOMES`."""
    if result.passed:
        return PASS
    return WAIVED if result.waiver else FAIL if result.is_red else TENTATIVE


def count_by_outcome(table: list[Row]) -> dict[str, int]:
    """How many rows came to each outcome."""
    return {outcome: sum(row.outcome == outcome for row in table) for outcome in OUTCOMES}


def number(value: float) -> str:
    """Four digits."""
    return f"{value:.4g}"
