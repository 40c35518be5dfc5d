"""The table of a run for a terminal."""

import re
import textwrap
from collections.abc import Sequence
from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from focal_ref.conformance.reports.causes import explained, likely_causes
from focal_ref.conformance.reports.escaping import safe_text
from focal_ref.conformance.reports.record import Record, Run
from focal_ref.conformance.reports.rows import (
    FAIL,
    NOT_CLAIMED,
    NOT_RUN,
    OUTCOMES,
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

MAXIMUM_CAUSES = 5
"""Faults that are named above the verdict; the pages have all."""

NARROWEST_SENTENCE = 20
"""Where less than that is left of a line, the requirements are not spelled out."""


def summary(run: Run, width: int, *, color: bool = False) -> list[str]:
    """What was tested, and the table; one row a line, what failed last, just above the verdict."""
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
    shown = [
        row
        for row in sorted(rows(record), key=lambda row: -OUTCOMES.index(row.outcome))
        if row.outcome != NOT_CLAIMED and (row.outcome != NOT_RUN or len(record.not_run) <= MAXIMUM_NOT_RUN)
    ]
    listed = [
        [safe_text(cell) for cell in (row.name, row.dtype, row.outcome, row.accuracy, row.sentence)] for row in shown
    ]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    titles = ("requirement", "format", "outcome", "error in ulp")
    widths = [max(map(len, (title, *(cells[index] for cells in listed)))) for index, title in enumerate(titles)]
    for title, longest in zip(titles, widths, strict=True):
        table.add_column(title, no_wrap=True, width=longest)
    # What is too long for the terminal is the sentence; three columns stand between two cells.
    rest = width - sum(widths) - 3 * len(titles)
    if rest >= NARROWEST_SENTENCE:
        table.add_column("", no_wrap=True, overflow="ellipsis", max_width=rest)
    for cells in listed:
        texts = [Text(cell) for cell in cells[: len(table.columns)]]
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
    lines = [*_not_claimed(record, width)]
    if len(record.not_run) > MAXIMUM_NOT_RUN:
        lines.append(f"{len(record.not_run)} more were not run")
    lines += [line.rstrip() for line in console.file.getvalue().splitlines()]
    return [safe_text(head), *lines, *_causes(record, width)]


def _causes(record: Record, width: int) -> list[str]:
    """Known faults by what they explain, two lines each."""
    causes = likely_causes(record.failed)
    lines = [f"likely causes ({explained(record.failed)}):"] if causes else []
    for one in causes[:MAXIMUM_CAUSES]:
        texts = (f"  {one.name}: {len(one.items)} failures", f"    {one.cause['advice']}")
        lines += [shorten(safe_text(text), width) for text in texts]
    if len(causes) > MAXIMUM_CAUSES:
        lines.append(f"  and {len(causes) - MAXIMUM_CAUSES} more, in the report")
    return lines


def shorten(text: str, width: int) -> str:
    """A text that fits into a line."""
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _not_claimed(record: Record, width: int) -> list[str]:
    """A line for each capability that is not claimed; the pages list each requirement."""
    groups: dict[str, list[str]] = {}
    for name, capability in record.not_claimed:
        groups.setdefault(capability, []).append(name)
    texts = [f"not claimed: no {name}: {ranges(ids)} ({len(ids)})" for name, ids in groups.items()]
    return [
        line
        for text in texts
        for line in textwrap.wrap(safe_text(text), width, subsequent_indent="  ", break_on_hyphens=False)
    ]


def ranges(ids: Sequence[str]) -> str:
    """Ids of requirements in order, those that follow each other as "first to last"."""
    runs: list[list[str]] = []
    for name in ids:
        if runs and _follows(runs[-1][-1], name):
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _follows(first: str, second: str) -> bool:
    one, other = (re.fullmatch(r"(.*-)([0-9]{1,6})", name) for name in (first, second))
    return bool(one and other and one[1] == other[1] and int(one[2]) + 1 == int(other[2]))
