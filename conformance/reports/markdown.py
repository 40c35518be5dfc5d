"""The Markdown page of a run, and the short one for the summary of a CI step."""

from focal_ref.conformance.reports.causes import explained, likely_causes
from focal_ref.conformance.reports.escaping import markdown_text, safe_text
from focal_ref.conformance.reports.record import Record
from focal_ref.conformance.reports.rows import FAIL, OUTCOMES, PASS, TENTATIVE, WAIVED, Row, count_by_outcome, rows

MAXIMUM_LISTED = 20
"""Failures in the summary of a CI step; the page has all."""

MARKS = {"pass": "✅", "FAIL": "❌", "WAIVED": "🟡", "TENTATIVE": "🔸", "NOT-RUN": "⚪", "NOT-CLAIMED": "💤"}


def markdown(record: Record) -> str:
    """A page with the verdict, the table and the failure texts."""
    lines = [f"# Conformance of {markdown_text(record.target)}", "", _verdict(record), "", _described(record), ""]
    lines += ["| requirement | format | outcome | error in ulp | |", "|---|---|---|---|---|"]
    for row in rows(record):
        cells = (row.name, row.dtype, row.outcome, row.accuracy, row.sentence)
        lines.append("| " + " | ".join(map(markdown_text, cells)) + " |")
    lines += _causes(record)
    failures = {"Failures": record.failed, "Expected failures": record.waived, "Tentative": record.tentative}
    for title, results in failures.items():
        if results:
            lines += ["", f"## {title}"]
        for result in results:
            if result.waiver:
                lines += ["", f"Waived: {markdown_text(result.waiver)}"]
            lines += ["", *(f"    {line}" for line in safe_text(result.text, lines=True).splitlines())]
    lines += ["", f"Made from the record {record.id} of {markdown_text(record.head['date'])}."]
    return "\n".join(lines) + "\n"


def step_summary(record: Record) -> str:
    """The verdict, what failed and the worst numbers, for ``$GITHUB_STEP_SUMMARY``."""
    table = rows(record)
    lines = [f"### {_mark(record)} focal-ref: {markdown_text(record.target)}", "", _verdict(record), ""]
    lines += [_described(record), ""]
    bad = [row for row in table if row.outcome in (FAIL, WAIVED, TENTATIVE)]
    lines += [*causes[1:], ""] if (causes := _causes(record)) else []
    if bad:
        lines += ["| requirement | format | outcome | error in ulp | |", "|---|---|---|---|---|"]
        for row in bad[:MAXIMUM_LISTED]:
            cells = (row.name, row.dtype, f"{MARKS[row.outcome]} {row.outcome}", row.accuracy, row.sentence)
            lines.append("| " + " | ".join(map(markdown_text, cells)) + " |")
        if len(bad) > MAXIMUM_LISTED:
            lines += ["", f"... and {len(bad) - MAXIMUM_LISTED} more."]
        lines.append("")
    worst = worst_by_format(table)
    if worst:
        lines += ["| format | nearest to its budget | error in ulp |", "|---|---|---|"]
        for dtype, row in worst.items():
            lines.append(f"| {markdown_text(dtype)} | {markdown_text(row.name)} | {markdown_text(row.accuracy)} |")
        lines.append("")
    return "\n".join(lines) + "\n"


def worst_by_format(table: list[Row]) -> dict[str, Row]:
    """Of each format the requirement that passed nearest to its budget."""
    worst: dict[str, Row] = {}
    for row in table:
        if row.outcome == PASS and row.result is not None and row.result.budget and row.dtype:
            best = worst.get(row.dtype)
            if best is None or _ratio(row) > _ratio(best):
                worst[row.dtype] = row
    return worst


def _causes(record: Record) -> list[str]:
    """Which known faults explain the failures, with what to change."""
    causes = likely_causes(record.failed)
    lines = ["", f"## Likely causes ({explained(record.failed)})", ""] if causes else []
    for one in causes:
        text = f"{one.name}: {one.cause['fault']} Change: {one.cause['advice']} Explains {', '.join(one.items)}."
        lines.append(f"- {markdown_text(text)}")
    return lines


def _ratio(row: Row) -> float:
    assert row.result is not None
    return row.result.error / row.result.budget


def _verdict(record: Record) -> str:
    counts = count_by_outcome(rows(record))
    listed = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])
    return f"**{markdown_text(record.reason)}** (exit code {record.exit_code}): {listed}."


def _mark(record: Record) -> str:
    if record.failed or record.exit_code:
        return MARKS[FAIL]
    return MARKS[PASS] if record.is_conformant else MARKS[WAIVED]


def _described(record: Record) -> str:
    described = record.described
    return markdown_text(", ".join(f"{name} {value}" for name, value in described.items())) + "."
