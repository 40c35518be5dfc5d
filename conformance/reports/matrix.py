"""Implementations by requirements: one page for the records of several runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from focal_ref.conformance.gate import SELF_CHECK
from focal_ref.conformance.reports.escaping import markdown_text
from focal_ref.conformance.reports.html import anchors, render
from focal_ref.conformance.reports.markdown import MARKS
from focal_ref.conformance.reports.record import Record
from focal_ref.conformance.reports.rows import NOT_CLAIMED, OUTCOMES, Row, number, rows


@dataclass(frozen=True)
class Column:
    """One implementation.

    Attributes
    ----------
    record
        Of its run.
    page
        Where its HTML page is, seen from the matrix, or "".
    """

    record: Record
    page: str

    @property
    def described(self) -> str:
        """Version, library and device."""
        proved = self.record.head["target"]
        return ", ".join(text for name in ("version", "library", "device") if (text := proved.get(name, "")))


@dataclass(frozen=True)
class MatrixCell:
    """One requirement of one implementation.

    Attributes
    ----------
    outcome
        The worst of all formats; "" where the record says nothing of the requirement.
    error
        The largest of these formats in proportion to its budget, in ulp, or "".
    formats
        Those that failed.
    link
        To the requirement on the page of the run, or "".
    """

    outcome: str
    error: str
    formats: str
    link: str


@dataclass(frozen=True)
class Line:
    """One requirement."""

    name: str
    sentence: str
    area: str
    cells: Sequence[MatrixCell]


def lines_of(columns: Sequence[Column]) -> list[Line]:
    """Every requirement of any record, in the order of the first that has it."""
    sentences: dict[str, tuple[str, str]] = {}
    tables, links = [], []
    for column in columns:
        known: dict[str, list[Row]] = {}
        for row in rows(column.record):
            if row.name != SELF_CHECK:
                known.setdefault(row.name, []).append(row)
        tables.append(known)
        links.append(anchors(column.record) if column.page else {})
        for name, entry in column.record.requirements.items():
            sentences.setdefault(name, (entry.sentence, entry.area))
    # Areas stay together though a record may lack some of their requirements.
    areas = list(dict.fromkeys(area for _, area in sentences.values()))
    names = sorted(sentences, key=lambda name: (areas.index(sentences[name][1]), name))
    return [
        Line(
            name,
            *sentences[name],
            [
                _cell(known.get(name, []), f"{column.page}#{link[name]}" if name in link else "")
                for column, known, link in zip(columns, tables, links, strict=True)
            ],
        )
        for name in names
    ]


def totals(columns: Sequence[Column], lines: Sequence[Line]) -> list[Mapping[str, int]]:
    """Of each implementation, how many requirements came to each outcome."""
    return [
        {outcome: sum(line.cells[index].outcome == outcome for line in lines) for outcome in OUTCOMES}
        for index in range(len(columns))
    ]


def matrix_html(columns: Sequence[Column]) -> str:
    """The page."""
    lines = lines_of(columns)
    return render(
        "matrix.html.jinja",
        columns=columns,
        lines=lines,
        totals=totals(columns, lines),
        areas={line.area: line.area for line in lines},
        outcomes=[outcome for outcome in OUTCOMES if any(count[outcome] for count in totals(columns, lines))],
    )


def matrix_markdown(columns: Sequence[Column]) -> str:
    """The same in Markdown."""
    lines = lines_of(columns)
    heads = [f"{_linked(column.record.target, column.page)} {markdown_text(column.described)}" for column in columns]
    text = ["# Focal losses by requirements", "", "| requirement | " + " | ".join(heads) + " | |"]
    text.append("|---|" + "---|" * (len(columns) + 1))
    verdicts = [f"{markdown_text(column.record.reason)} (exit code {column.record.exit_code})" for column in columns]
    text.append("| verdict | " + " | ".join(verdicts) + " | |")
    for line in lines:
        cells = [_markdown_cell(cell) for cell in line.cells]
        text.append(f"| {markdown_text(line.name)} | " + " | ".join(cells) + f" | {markdown_text(line.sentence)} |")
    legend = ", ".join(f"{MARKS[outcome]} {outcome}" for outcome in OUTCOMES)
    text += ["", f"{legend}. Numbers are the error nearest to its budget and that budget, in ulp."]
    return "\n".join(text) + "\n"


def link_to(page: str) -> str:
    """A relative address of a file, as it stands in a page."""
    return quote(page, safe="/")


def _cell(found: Sequence[Row], link: str) -> MatrixCell:
    if not found:
        return MatrixCell("", "", "", "")
    outcome = min((row.outcome for row in found), key=OUTCOMES.index)
    if outcome == NOT_CLAIMED:
        return MatrixCell(outcome, "", "", link)
    # Of the formats that came to it: the number of another would be read as the reason of a failure.
    measured = [row.result for row in found if row.outcome == outcome and row.result is not None and row.result.budget]
    worst = max(measured, key=lambda result: result.error / result.budget, default=None)
    error = f"{number(worst.error)} / {number(worst.budget)}" if worst is not None else ""
    bad = [row.dtype for row in found if row.outcome == outcome and row.dtype]
    return MatrixCell(outcome, error, ", ".join(bad) if outcome != "pass" else "", link)


def _markdown_cell(cell: MatrixCell) -> str:
    if not cell.outcome:
        return ""
    text = " ".join(part for part in (MARKS[cell.outcome], cell.error) if part)
    return _linked(text, cell.link)


def _linked(text: str, link: str) -> str:
    return f"[{markdown_text(text)}]({link})" if link else markdown_text(text)
