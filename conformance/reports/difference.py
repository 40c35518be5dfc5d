"""What is different between two runs, and whether the second is worse."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from focal_ref.conformance.gate import SELF_CHECK, ExitCode, Item, Result
from focal_ref.conformance.reports.escaping import safe_text
from focal_ref.conformance.reports.record import Record
from focal_ref.conformance.reports.rows import FAIL, NOT_CLAIMED, NOT_RUN, PASS, TENTATIVE, WAIVED, number, outcome_of

NEGLIGIBLE = 0.5
"""Errors up to so many ulp are one rounding; where both are, their quotient says nothing."""

GIVEN_UP, NEW = "claims given up", "new claims"

ABSENT = "absent"
"""What is in one of the records alone."""


@dataclass(frozen=True)
class Difference:
    """What changed from the first run to the second.

    Attributes
    ----------
    about
        What is different about the runs themselves: versions, claims, vectors; each as (name, first, second).
    worse, better, other
        One line each: outcomes and errors that changed.
    """

    about: list[tuple[str, str, str]] = field(default_factory=list)
    worse: list[str] = field(default_factory=list)
    better: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)


def difference(first: Record, second: Record, factor: float) -> Difference:
    """Compare two records.

    Parameters
    ----------
    first, second
        The older and the newer one.
    factor
        How many times an error has to grow or shrink to be named.

    Notes
    -----
    Worse is: what passed and does not any more, be it that it was not run; what fails and did not; an error beyond half
    an ulp that grew by more than the factor; and a verdict that was conformant and is not. A failure that is not run or
    not claimed any more is not better.
    """
    found = Difference()
    about = _about(first), _about(second)
    for name in dict.fromkeys((*about[0], *about[1])):
        before, after = (one.get(name, ABSENT) for one in about)
        if before != after:
            found.about.append((name, before, after))
    claims = [set(record.head["profile"]["capabilities"]) for record in (first, second)]
    for name, changed in ((GIVEN_UP, claims[0] - claims[1]), (NEW, claims[1] - claims[0])):
        if changed:
            found.about.append((name, "", ", ".join(sorted(changed))))
    outcomes = _outcomes(first), _outcomes(second)
    for item in dict.fromkeys((*outcomes[0], *outcomes[1])):
        (before, old), (after, new) = (one.get(item) or _missing(one, item) for one in outcomes)
        what = str(item) if item.name != SELF_CHECK else f"{item.name} {item.dtype}"
        if before != after:
            text = f"{what}: {before} -> {after}{_why(new)}"
            _list(found, before, after).append(text)
        elif old is not None and new is not None:
            text = f"{what}: error {number(old.error)} -> {number(new.error)} ulp, budget {number(new.budget)} ulp"
            if _grew(old.error, new.error, factor):
                found.worse.append(text)
            elif _grew(new.error, old.error, factor):
                found.better.append(text)
    verdicts = [record.exit_code == ExitCode.CONFORMANT for record in (first, second)]
    if verdicts[0] != verdicts[1]:
        text = f"verdict: {first.reason} -> {second.reason}"
        (found.worse if verdicts[0] else found.better).append(text)
    return found


def as_text(found: Difference) -> str:
    """For a terminal."""
    lines = [
        f"{name}: {after}" if name in (GIVEN_UP, NEW) else f"{name}: {before} -> {after}"
        for name, before, after in found.about
    ]
    for title, entries in (("worse", found.worse), ("better", found.better), ("other", found.other)):
        if entries:
            lines += ["", f"{title} ({len(entries)})", *(f"  {entry}" for entry in entries)]
    if not lines:
        lines = ["no difference"]
    elif not (found.worse or found.better or found.other):
        lines += ["", "the same outcomes, and no error that changed by more than the factor"]
    return safe_text("\n".join(lines).strip("\n") + "\n", lines=True)


def as_data(found: Difference) -> dict[str, Any]:
    """As JSON data."""
    about = [{"name": name, "first": before, "second": after} for name, before, after in found.about]
    return {"about": about, "worse": found.worse, "better": found.better, "other": found.other}


def _list(found: Difference, before: str, after: str) -> list[str]:
    """Where a change of outcome is named."""
    if FAIL in (before, after):
        forgiven = after in (PASS, WAIVED, TENTATIVE)
        return found.worse if after == FAIL else found.better if forgiven else found.other
    return found.worse if before == PASS else found.better if after == PASS else found.other


def _outcomes(record: Record) -> dict[Item, tuple[str, Result | None]]:
    known: dict[Item, tuple[str, Result | None]] = {
        result.item: (outcome_of(result), result) for result in record.results
    }
    known |= dict.fromkeys(record.not_run, (NOT_RUN, None))
    return known | {Item(name): (NOT_CLAIMED, None) for name, _ in record.not_claimed}


def _missing(known: Mapping[Item, Any], item: Item) -> tuple[str, Result | None]:
    """What is said of an item that a record has not: the claim of its requirement, or nothing."""
    return known.get(Item(item.name), (ABSENT, None)) if item.name != SELF_CHECK else (ABSENT, None)


def _why(result: Result | None) -> str:
    if result is None or result.passed:
        return ""
    if result.waiver:
        return f" ({result.waiver})"
    return f" ({number(result.error)} of {number(result.budget)} ulp)" if result.budget else ""


def _grew(before: float, after: float, factor: float) -> bool:
    if math.isnan(before) or math.isnan(after):
        return math.isnan(after) and not math.isnan(before)
    return after > NEGLIGIBLE and after > before * factor


def _about(record: Record) -> dict[str, str]:
    head = record.head
    profile = head["profile"]
    about = {**head["target"], **head["versions"], "platform": head["platform"], "level": head["level"]}
    about |= {"profile": profile["name"]}
    about |= {f"conventions.{name}": str(value) for name, value in profile["conventions"].items()}
    about |= {f"dtypes.{name}": value for name, value in profile["tiers"].items()}
    return about | {f"vectors.{name}": value[:12] for name, value in head["vectors"].items()}
