"""Which requirement finds which mutant: run, written down, and shown as a page.

python -m focal_ref.conformance.kill_matrix             run everything, write the data and the page
python -m focal_ref.conformance.kill_matrix --page      write the page from the data
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from focal_ref.conformance.checks import checks
from focal_ref.conformance.detection.vectors import load_tests
from focal_ref.conformance.documented import load_documented
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.family.vectors import function_names
from focal_ref.conformance.findings import Finding
from focal_ref.conformance.gate import SELF_CHECK, items_of
from focal_ref.conformance.mutants import KILL_MATRIX, Mutant, Row, mutants, right_target, stored
from focal_ref.conformance.profiles import Profile
from focal_ref.conformance.requirements import Requirement, requirements
from focal_ref.conformance.targets import Target
from focal_ref.conformance.vectors import vector_set_names

VECTORS, PROPERTY, EXCEPTION = "vectors", "property", "exception"
"""How a requirement finds a mutant: by a stored vector, by another comparison, or because the mutant breaks down."""

WAYS = (VECTORS, PROPERTY, EXCEPTION)
PAGE = "docs/kill-matrix.md"
DETECTION_VECTORS = ("boxes", "coding", "losses", "matching", "selection")


class _Decided(BaseException):
    """Ends a check whose outcome is known; no `Exception`, so that no check takes it for one of the target."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = findings


class _Findings(list[Finding]):
    """Findings that end the check at the first one of the way that is sought."""

    def __init__(self, sought: str) -> None:
        super().__init__()
        self.sought = sought

    def append(self, finding: Finding) -> None:
        super().append(finding)
        if way_of(finding) in (VECTORS, self.sought):
            raise _Decided(self)


def found_by(requirement: Requirement, target: Target, dtype: str, sought: str = VECTORS) -> tuple[str, list[Finding]]:
    """How a requirement finds a target.

    Parameters
    ----------
    requirement, target, dtype
        What is run, until it is decided.
    sought
        `PROPERTY` if any comparison will do; `VECTORS` to go on until a stored vector shows it.

    Returns
    -------
    way
        The first of `WAYS` that applies, or "" where the target passes.
    findings
        Those that were made until then.
    """

    class Deciding(Examiner):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.findings = _Findings(sought)

    examiner = Deciding(target, requirement, dtype)
    findings: Sequence[Finding] = examiner.findings
    try:
        checks()[requirement.id](examiner)
    except _Decided as decided:
        findings = decided.findings
    ways = {way_of(finding) for finding in findings}
    return next((way for way in WAYS if way in ways), ""), list(findings)


def way_of(finding: Finding) -> str:
    """One of `WAYS`."""
    if finding.signature in ("raise", "fault") and finding.quantity != "error text":
        return EXCEPTION
    if finding.expected == "a result" and "Error: " in finding.got:
        return EXCEPTION
    return VECTORS if is_stored(finding) else PROPERTY


def is_stored(finding: Finding) -> bool:
    """Whether a finding is about a stored vector or a documented number."""
    case = finding.case
    sets = (*vector_set_names(), *function_names())
    if case.partition("/")[0] in sets and case.count("/") >= 2:
        return True
    return case in _documented() or "vector" in finding.inputs or case.partition(", ")[0] in _detection_ids()


@cache
def _documented() -> frozenset[str]:
    return frozenset(f"{number.source}: {number.case}" for number in load_documented().numbers)


@cache
def _detection_ids() -> frozenset[str]:
    named = {test["id"] for name in DETECTION_VECTORS for test in load_tests(name)}
    # Boxes that are encoded and decoded are run as one call.
    return frozenset(named | {"vectors"} | {f"vectors {kind}" for kind in ("iou", "crowd", "legacy")})


def claimed_requirements(profile: Profile) -> tuple[str, ...]:
    """Ids of what a profile has to meet in its one format."""
    return tuple(item.name for item in items_of(profile) if item.name != SELF_CHECK)


def row_of(mutant: Mutant, only: Sequence[str] | None = None) -> Row:
    """Every requirement that finds a mutant, or those of some requirements, and how.

    A requirement whose check never calls a function that is wrong passes as it does with the right form.
    """
    form = right_form(mutant)
    row = {}
    for identifier, called in form.called.items():
        concerned = called & set(mutant.replaced) and identifier not in form.accused
        if concerned and (only is None or identifier in only):
            # A target of its own for each, so that nothing is left over from another requirement.
            way, _ = found_by(requirements()[identifier], mutant.target(), mutant.dtype)
            if way:
                row[identifier] = way
    return row


@dataclass(frozen=True)
class RightForm:
    """What the checks do with the right form under one profile.

    Attributes
    ----------
    called
        By requirement: the functions that its check calls.
    accused
        Requirements that it fails, which is a fault of the suite: they find no mutant.
    """

    called: Mapping[str, frozenset[str]]
    accused: frozenset[str]


_RIGHT_FORMS: dict[Any, RightForm] = {}


def right_form(mutant: Mutant) -> RightForm:
    """The right form under a mutant's profile, run once for all that share it."""
    profile = mutant.target().profile
    claims = (profile.capabilities, tuple(profile.conventions.items()), profile.function)
    key = (profile.library, *profile.tiers.items(), *claims)
    if key not in _RIGHT_FORMS:
        noted: set[str] = set()
        target = right_target(profile, noted)
        called, accused = {}, set()
        for identifier in claimed_requirements(profile):
            noted.clear()
            if found_by(requirements()[identifier], target, mutant.dtype, PROPERTY)[0]:
                accused.add(identifier)
            called[identifier] = frozenset(noted)
        _RIGHT_FORMS[key] = RightForm(called, frozenset(accused))
    return _RIGHT_FORMS[key]


def survivors(rows: Mapping[str, Row]) -> tuple[str, ...]:
    """Mutants that their requirement does not find, or not in the way that they say."""
    lost = []
    for mutant in mutants():
        way = rows.get(mutant.name, {}).get(mutant.requirement, "")
        if way != (PROPERTY if mutant.property_only else VECTORS):
            lost.append(mutant.name)
    return tuple(lost)


def idle(rows: Mapping[str, Row]) -> tuple[str, ...]:
    """Requirements that find no mutant by a comparison."""
    busy = {identifier for row in rows.values() for identifier, way in row.items() if way != EXCEPTION}
    return tuple(identifier for identifier in requirements() if identifier not in busy)


def page(rows: Mapping[str, Row]) -> str:
    """The matrix as Markdown."""
    cells = sum(len(row) for row in rows.values())
    stored_ones = sum(not mutant.property_only for mutant in mutants())
    lines = [
        "# Kill matrix",
        "",
        "<!-- Generated by `python -m focal_ref.conformance.kill_matrix`; do not edit. -->",
        "",
        f"{len(rows)} implementations that are known to be wrong (`conformance/mutants/`, one file and one fault each)",
        "were run against all requirements that their profiles claim. Each is found by the requirement that it names,",
        f"in a failed comparison: {stored_ones} by stored vectors, {len(rows) - stored_ones} by a property alone.",
        f"Together they are found {cells} times. Requirements that find none: {', '.join(idle(rows)) or 'none'}.",
        "",
        "## Requirements",
        "",
        "| requirement | what it asks for | mutants that name it | finds |",
        "|---|---|---|---:|",
    ]
    for identifier, requirement in requirements().items():
        naming = [f"[{one.name}](#{one.name})" for one in mutants() if one.requirement == identifier]
        count = sum(row.get(identifier, EXCEPTION) != EXCEPTION for row in rows.values())
        lines.append(f"| {identifier} | {_cell(requirement.sentence)} | {', '.join(naming)} | {count} |")
    lines += ["", "## Mutants", ""]
    lines += [
        "**Bold**: the requirement that the mutant names. (v): found by stored vectors as well as by properties, or"
    ]
    lines += ["by vectors alone; (x): only because the mutant raises an error.", ""]
    for mutant in mutants():
        row = rows.get(mutant.name, {})
        place = f" on {mutant.device}" if mutant.device else ""
        seen = ", ".join(f"<{text}>" if text.startswith("https://") else text for text in mutant.seen)
        lines += [f"### {mutant.name}", "", f"{mutant.fault}", ""]
        lines += [f"- run on: {mutant.library}{place}, {mutant.dtype}; seen: {seen}", f"- advice: {mutant.advice}"]
        lines += [f"- found by: {', '.join(_entry(mutant, identifier, row[identifier]) for identifier in row)}", ""]
    return "\n".join(lines).rstrip() + "\n"


def _entry(mutant: Mutant, identifier: str, way: str) -> str:
    text = f"**{identifier}**" if identifier == mutant.requirement else identifier
    return text + {VECTORS: " (v)", PROPERTY: "", EXCEPTION: " (x)"}[way]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, or read, and write; exit code 1 where something is not as it says."""
    parser = argparse.ArgumentParser(
        prog="python -m focal_ref.conformance.kill_matrix",
        description="Run all mutants against all requirements of their profiles, and write data and page.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; compare with the data that is there")
    parser.add_argument("--page", action="store_true", help="write the page from the data, and run nothing")
    parser.add_argument("--mutant", action="append", default=[], help="run this one alone, and keep the other rows")
    parser.add_argument("--out", type=Path, default=Path.cwd(), help="root of the checkout to write to")
    options = parser.parse_args(arguments)
    before = dict(stored()) if options.page or options.mutant or options.check else {}
    chosen = [] if options.page else [one for one in mutants() if not options.mutant or one.name in options.mutant]
    anew = {one.name: _reported(one) for one in chosen}
    rows = {one.name: {**before, **anew}[one.name] for one in mutants() if one.name in {**before, **anew}}
    problems = [f"{name}: not found as it says" for name in survivors(rows)]
    problems += [f"{name}: finds no mutant" for name in idle(rows)]
    problems += [f"{name}: accuses the right form" for form in _RIGHT_FORMS.values() for name in sorted(form.accused)]
    if options.check:
        problems += [f"{name}: found otherwise than in the data" for name in anew if anew[name] != before.get(name)]
    else:
        write(rows, options.out)
    print("".join(f"{problem}\n" for problem in dict.fromkeys(problems)), end="", file=sys.stderr)
    return 1 if problems else 0


def _reported(mutant: Mutant) -> Row:
    row = row_of(mutant)
    print(f"{mutant.name}: found by {len(row)} requirements", flush=True)
    return row


def write(rows: Mapping[str, Row], root: Path) -> None:
    """Write data and page into a checkout."""
    (root / "conformance" / "mutants" / KILL_MATRIX).write_text(
        json.dumps({"mutants": rows}, indent=1) + "\n", encoding="utf-8"
    )
    (root / PAGE).write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
