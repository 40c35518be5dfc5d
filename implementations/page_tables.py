"""What the pages show, table by table, of the catalogue and the results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalogue import Catalogue, Implementation

from focal_ref.conformance.conventions.axes import ALL
from focal_ref.conformance.reports.rows import FAIL, NOT_CLAIMED, OUTCOMES, PASS
from focal_ref.conformance.requirements import AREAS, requirements

DTYPES = ("float64", "float32", "float16", "bfloat16")
QUANTITIES = ("value", "gradient", "second_derivative")
REGIMES = (
    "infinite", "below -40", "-40 to -16", "-16 to -4", "-4 to 4", "4 to 16", "16 to 40", "above 40", "NaN",
    "soft targets", "other",
)  # fmt: skip
"""Margins (2t - 1) x of hard targets, from badly wrong to easy; soft targets; rows and other results without one."""


@dataclass(frozen=True)
class Line:
    """A line for a shell, and what it is about.

    Attributes
    ----------
    requirements
        Ids of those that it shows not to be met.
    dtypes
        Formats in which they fail.
    command, printed, right
        As in the results; `right` is "" where the output says it.
    """

    requirements: tuple[str, ...]
    dtypes: tuple[str, ...]
    command: str
    printed: str
    right: str

    @property
    def is_of_the_suite(self) -> bool:
        """Whether the line runs the suite, because no single call shows the fault."""
        return "focal-ref repro" in self.command


@dataclass(frozen=True)
class Part:
    """One implementation.

    Attributes
    ----------
    entry
        Of the catalogue.
    data
        The results.
    lines
        One for each fault; those of one command together.
    unshown
        Requirements that are not met and have no line.
    causes
        What probably causes the faults, each with the requirements for which it was found.
    """

    entry: Implementation
    data: Mapping[str, Any]
    lines: Sequence[Line] = ()
    unshown: Sequence[str] = ()
    causes: Sequence[tuple[Mapping[str, str], tuple[str, ...]]] = ()

    @property
    def was_run(self) -> bool:
        """Whether there is a record."""
        return bool(self.data["status"] == "run")

    @property
    def version(self) -> str:
        """The release that was run."""
        return str(self.data["target"]["version"]) if self.was_run else ""

    @property
    def library(self) -> str:
        """Library and device."""
        target = self.data.get("target", {})
        return ", ".join(target[name] for name in ("library", "device") if target.get(name))

    def outcome(self, requirement: str) -> str:
        """The worst of all formats, or "" where the requirement does not concern the implementation."""
        found = [text.partition(" ")[0] for text in self.data.get("requirements", {}).get(requirement, {}).values()]
        return min(found, key=OUTCOMES.index, default="")

    def failing(self, requirement: str) -> str:
        """The formats in which a requirement is not met."""
        cells = self.data.get("requirements", {}).get(requirement, {})
        return ", ".join(dtype for dtype in (*DTYPES, "") if dtype and cells.get(dtype, "").startswith(FAIL))

    def count(self, outcome: str) -> int:
        """Requirements of an outcome."""
        return sum(self.outcome(name) == outcome for name in self.data.get("requirements", {}))


@dataclass(frozen=True)
class Page:
    """Everything on the pages."""

    catalogue: Catalogue
    results: Mapping[str, Mapping[str, Any]]
    parts: Sequence[Part] = field(init=False)

    def __post_init__(self) -> None:
        parts = [_part(entry, self.results[entry.name]) for entry in self.catalogue.implementations]
        object.__setattr__(self, "parts", parts)

    @property
    def run(self) -> list[Part]:
        """Implementations with a record."""
        return [part for part in self.parts if part.was_run]

    @property
    def not_run(self) -> list[Part]:
        """Those without."""
        return [part for part in self.parts if not part.was_run]

    @property
    def dates(self) -> str:
        """When the runs were made."""
        dates = sorted({part.data["date"][:10] for part in self.parts if part.was_run})
        return " to ".join(dict.fromkeys((dates[0], dates[-1]))) if dates else ""

    @property
    def versions(self) -> str:
        """Releases of the suite that made the results."""
        return ", ".join(sorted({part.data["versions"]["focal-ref"] for part in self.run}))

    @property
    def areas(self) -> dict[str, list[str]]:
        """From areas to requirements that were run or claimed by any implementation."""
        table: dict[str, list[str]] = {}
        for name, requirement in requirements().items():
            if any(part.outcome(name) not in ("", NOT_CLAIMED) for part in self.run):
                table.setdefault(requirement.area, []).append(name)
        return table

    @property
    def losses(self) -> list[Part]:
        """Implementations with the conventions of a loss."""
        return [part for part in self.run if "formula" in part.data["profile"]["conventions"]]

    @property
    def others(self) -> list[Part]:
        """Those with conventions of their own: matchers, coders."""
        return [part for part in self.run if "formula" not in part.data["profile"]["conventions"]]

    @property
    def errors(self) -> dict[tuple[str, str], list[Part]]:
        """From format and quantity to the implementations whose errors were measured."""
        table = {}
        for dtype in DTYPES:
            for quantity in QUANTITIES:
                measured = [part for part in self.run if part.data["errors"].get(dtype, {}).get(quantity)]
                if measured:
                    table[dtype, quantity] = measured
        return table


def subject(area: str) -> str:
    """What an area is about."""
    return AREAS[area]


def sentence(requirement: str) -> str:
    """What is required; "" for one that this suite does not have."""
    known = requirements().get(requirement)
    return known.sentence if known is not None else ""


def error_text(part: Part, dtype: str, quantity: str, regime: str) -> tuple[str, bool]:
    """The error of a regime, and whether it is within its budget."""
    cell = part.data["errors"][dtype][quantity].get(regime)
    if cell is None:
        return "", True
    error, _, budget = cell.partition(" ")
    return error, float(error) <= float(budget)


def _part(entry: Implementation, data: Mapping[str, Any]) -> Part:
    if data["status"] != "run":
        return Part(entry, data)
    lines: dict[str, Line] = {}
    causes: dict[str, tuple[Mapping[str, str], list[str]]] = {}
    order = [name for name in requirements() if name in data["faults"]]
    order += [name for name in data["faults"] if name not in order]
    for name in order:
        fault = data["faults"][name]
        for line in fault.get("lines", ()):
            known = lines.get(line["command"])
            names = tuple(dict.fromkeys((*(known.requirements if known else ()), name)))
            found = {*(known.dtypes if known else ()), *fault["dtypes"]}
            dtypes = tuple(dtype for dtype in DTYPES if dtype in found)
            lines[line["command"]] = Line(names, dtypes, line["command"], line["printed"], line.get("right", ""))
        for cause in fault["causes"]:
            causes.setdefault(cause["mutant"], (cause, []))[1].append(name)
    unshown = [name for name in order if not data["faults"][name].get("lines")]
    return Part(
        entry, data, tuple(lines.values()), unshown, tuple((cause, tuple(names)) for cause, names in causes.values())
    )


__all__ = ["ALL", "FAIL", "NOT_CLAIMED", "OUTCOMES", "PASS", "REGIMES", "Line", "Page", "Part"]
