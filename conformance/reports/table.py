"""The table of a run for a terminal."""

from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from focal_ref.conformance.reports.escaping import safe_text
from focal_ref.conformance.reports.record import Record, Run
from focal_ref.conformance.reports.rows import (
    FAIL,
    NOT_CLAIMED,
    NOT_RUN,
    PASS,
    TENTATIVE,
    WAIVED,
    count_by_outcome,
    rows,
)

STYLES = {
    PASS: "green",
    FAIL: "bold red",
    WAIVED: "yellow",
    TENTATIVE: "yellow",
    NOT_RUN: "magenta",
    NOT_CLAIMED: "dim",
}

MAXIMUM_NOT_RUN = 20
"""Rows of what was not run; of a filtered run the others are counted."""


def summary(run: Run, width: int, *, color: bool = False) -> list[str]:
    """What was tested, and the table; one row a line."""
    return _lines(Record.of(run), width, color)


def terminal(record: Record, width: int, *, color: bool = False) -> str:
    """What was tested, the table, the failures in full and the verdict."""
    lines = _lines(record, width, color)
    for result in (*record.failed, *record.waived, *record.tentative):
        lines += ["", *([f"waived: {safe_text(result.waiver)}"] if result.waiver else [])]
        lines += safe_text(result.text, lines=True).splitlines()
    return "\n".join([*lines, "", verdict_line(record)]) + "\n"


def verdict_line(record: Record) -> str:
    """The verdict, and how many rows came to each outcome."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in count_by_outcome(rows(record)).items() if count)
    return f"verdict: {safe_text(record.reason)} (exit code {record.exit_code}); {counts}"


def _lines(record: Record, width: int, color: bool) -> list[str]:
    described = record.described
    listed = [
        [safe_text(cell) for cell in (row.name, row.dtype, row.outcome, row.accuracy, row.sentence)]
        for row in rows(record)
        if row.outcome != NOT_RUN or len(record.not_run) <= MAXIMUM_NOT_RUN
    ]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    titles = ("requirement", "format", "outcome", "error in ulp")
    widths = [max(map(len, (title, *(cells[index] for cells in listed)))) for index, title in enumerate(titles)]
    for title, longest in zip(titles, widths, strict=True):
        table.add_column(title, no_wrap=True, width=longest)
    # What is too long for the terminal is the sentence; three columns stand between two cells.
    table.add_column("", no_wrap=True, overflow="ellipsis", max_width=max(20, width - sum(widths) - 3 * len(titles)))
    for cells in listed:
        texts = [Text(cell) for cell in cells]
        texts[2].stylize(STYLES[cells[2]])
        table.add_row(*texts)
    # No markup, no emoji, no highlighting: the texts are not ours.
    console = Console(
        file=StringIO(), width=width, force_terminal=color, no_color=not color, markup=False, emoji=False,
        highlight=False, legacy_windows=False,
    )  # fmt: skip
    console.print(table)
    assert isinstance(console.file, StringIO)
    head = ", ".join(f"{name}: {value}" for name, value in described.items())
    rest = [f"{len(record.not_run)} more were not run"] if len(record.not_run) > MAXIMUM_NOT_RUN else []
    return [safe_text(head), *(line.rstrip() for line in console.file.getvalue().splitlines()), *rest]
