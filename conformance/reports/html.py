"""The HTML page of a run: one file that needs no network."""

import base64
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.gate import SELF_CHECK
from focal_ref.conformance.reports.causes import explained, likely_causes
from focal_ref.conformance.reports.escaping import safe_text
from focal_ref.conformance.reports.plot import Plot, plots
from focal_ref.conformance.reports.record import Record
from focal_ref.conformance.reports.rows import (
    NOT_CLAIMED,
    OUTCOMES,
    Row,
    count_by_outcome,
    number,
    rows,
)

_ORDINARY = re.compile(r"FL-[A-Z]{1,8}-[0-9]{1,5}")

SELF_CHECK_SENTENCE = "The gate finds built-in wrong implementations, and passes the right one."

ONCE = "once"
"""Column of what is verified once, in no format or in one that the suite chooses."""

DECADES = 400.0
"""More than numbers of 64 bits have."""

PLOTTED = ("VAL", "GRAD", "EXT", "LAB", "SMX", "STAR", "REL")
"""Areas whose errors are plotted: those whose inputs go through the regimes on purpose."""

MAXIMUM_FINDINGS = 12
"""Shown of a format; the record has all."""


@dataclass(frozen=True)
class Cell:
    """One requirement in one format.

    Attributes
    ----------
    column
        A format, or `ONCE`.
    row
        What the report says of it.
    order
        By which a column is sorted: the worst is the largest.
    """

    column: str
    row: Row
    order: float


@dataclass(frozen=True)
class Section:
    """One requirement: a row of the table, and the part of the page to which its cells lead.

    Attributes
    ----------
    anchor
        Of the part of the page: the name, or the position where the name is no id of a requirement.
    name, sentence, area
        As in the rows.
    outcome
        The worst of its cells.
    cells
        By column; of a self-check none.
    parts
        All rows.
    requirement
        What the record says of it; None for the self-check.
    plots
        Where it fails: its errors by regime.
    command
        What repeats it, or "".
    """

    anchor: str
    name: str
    sentence: str
    area: str
    outcome: str
    cells: Mapping[str, Cell]
    parts: Sequence[Row]
    requirement: Any
    plots: Sequence[Plot]
    command: str


def html(record: Record) -> str:
    """The page."""
    table = rows(record)
    sections = sections_of(record)
    subjects = {entry.area: entry.subject for entry in record.requirements.values()}
    found = {cell for section in sections for cell in section.cells}
    by_area = [
        plot
        for area in PLOTTED
        for plot in plots((row.result for row in table if row.area == area and row.result), area)
    ]
    return render(
        "page.html.jinja",
        record=record,
        sections=sections,
        columns=[column for column in (*FORMATS, ONCE) if column in found],
        counts={outcome: count for outcome, count in count_by_outcome(table).items() if count},
        comparisons=sum(result.comparisons for result in record.results),
        areas={area: subject for area, subject in subjects.items() if any(s.area == area for s in sections)},
        plots=by_area,
        facts=facts(record),
        maximum_findings=MAXIMUM_FINDINGS,
        causes=likely_causes(record.failed),
        explained=explained(record.failed),
    )


def facts(record: Record) -> dict[str, str]:
    """What stands in the head of the page."""
    head, shown = record.head, record.described
    del shown["target"]
    shown["profile"] = head["profile"]["name"]
    shown["accuracy claimed"] = ", ".join(f"{dtype} {tier}" for dtype, tier in head["profile"]["tiers"].items())
    shown["level"] = head["level"]
    shown["date"] = head["date"].replace("T", " ")
    return {name: text for name, text in shown.items() if text}


def sections_of(record: Record) -> list[Section]:
    """The requirements of a record, in order, the self-check first."""
    by_name: dict[str, list[Row]] = {}
    for row in rows(record):
        by_name.setdefault(row.name, []).append(row)
    return [_section(record, position, name, parts) for position, (name, parts) in enumerate(by_name.items())]


def anchors(record: Record) -> dict[str, str]:
    """From the names of requirements to their anchors on the page."""
    return {section.name: section.anchor for section in sections_of(record)}


def render(template: str, **values: Any) -> str:
    """A page from a template of this folder, with its styles and script inside."""
    style, script = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return _environment().get_template(template).render(
        style=Markup(style), script=Markup(script), style_hash=_hash(style), script_hash=_hash(script), **values
    )  # fmt: skip


def _section(record: Record, position: int, name: str, parts: Sequence[Row]) -> Section:
    is_self_check = name == SELF_CHECK
    cells = {}
    if not is_self_check and parts[0].outcome != NOT_CLAIMED:
        cells = {column: Cell(column, row, _order(row)) for row in parts for column in [row.dtype or ONCE]}
    failing = [row.result for row in parts if row.outcome not in ("pass", NOT_CLAIMED) and row.result]
    command = record.head["command"]
    return Section(
        name if _ORDINARY.fullmatch(name) else f"r{position}",
        name,
        SELF_CHECK_SENTENCE if is_self_check else parts[0].sentence,
        parts[0].area,
        min((row.outcome for row in parts), key=OUTCOMES.index),
        cells,
        parts,
        record.requirements.get(name),
        plots(failing, name),
        f"{command} -k {name}" if command and not is_self_check and parts[0].outcome != NOT_CLAIMED else "",
    )


def _order(row: Row) -> float:
    """Failures by their error, then what passed nearest to its budget."""
    result = row.result
    ratio = result.error / result.budget if result is not None and result.budget else 0.0
    decade = math.log10(ratio) if 0 < ratio < math.inf else -DECADES if ratio == 0 else DECADES
    return (len(OUTCOMES) - OUTCOMES.index(row.outcome)) * 4 * DECADES + decade


def _hash(text: str) -> str:
    """By which the page's own policy knows its styles and its script, and nothing else runs."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: safe_text(value, lines=True) if type(value) is str else value,
    )
    environment.filters["number"] = number
    environment.globals["OUTCOMES"] = OUTCOMES
    return environment
