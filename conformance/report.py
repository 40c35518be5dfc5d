"""The record of a run, and what is made of it: JSON lines, a Markdown page, a table for the terminal."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from focal_ref.conformance.gate import SELF_CHECK, ExitCode, Result, not_claimed
from focal_ref.conformance.profiles import Profile
from focal_ref.conformance.requirements import requirements

RECORD_VERSION = 1


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes
    ----------
    description
        Target, versions and device, as the target proved them.
    profile
        What was claimed.
    results
        One an item.
    exit_code, reason
        The verdict.
    """

    description: Mapping[str, str]
    profile: Profile
    results: Sequence[Result]
    exit_code: ExitCode
    reason: str


def write(run: Run, folder: Path) -> tuple[Path, Path]:
    """Write the record and the page; each file is the old one or the new one, never half."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in run.description["target"])
    record, page = folder / f"{stem}.jsonl", folder / f"{stem}.md"
    _replace(record, "".join(json.dumps(line, sort_keys=True) + "\n" for line in record_lines(run)))
    _replace(page, markdown(run))
    return record, page


def record_lines(run: Run) -> list[dict[str, Any]]:
    """The run as JSON data, one entry a line: the run, each item, the verdict."""
    manifest = json.loads((files("focal_ref.conformance") / "vectors" / "manifest.json").read_text(encoding="utf-8"))
    head = {
        "kind": "run",
        "version": RECORD_VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "vectors": {name: entry["sha256"] for name, entry in manifest["sets"].items()},
        "profile": run.profile.name,
        **run.description,
    }
    lines = [head]
    for result in run.results:
        lines.append(
            {
                "kind": "item",
                "requirement": result.item.name,
                "dtype": result.item.dtype,
                "passed": result.passed,
                "comparisons": result.comparisons,
                "error_ulp": _finite(result.error),
                "budget_ulp": _finite(result.budget),
                "findings": list(result.findings),
                "text": result.text,
                "seconds": round(result.seconds, 3),
            }
        )
    for requirement, capability in not_claimed(run.profile):
        lines.append({"kind": "not-claimed", "requirement": requirement.id, "capability": capability})
    lines.append({"kind": "verdict", "exit_code": int(run.exit_code), "reason": run.reason})
    return lines


def rows(run: Run) -> list[tuple[str, str, str, str, str]]:
    """Requirement, format, outcome, largest error against its budget, and the sentence; one row an item."""
    table = []
    sentences = {name: requirement.sentence for name, requirement in requirements().items()}
    order = {name: position for position, name in enumerate((SELF_CHECK, *sentences))}
    for result in sorted(run.results, key=lambda result: order[result.item.name]):
        is_self_check = result.item.name == SELF_CHECK
        sentence = f"built in: {result.item.dtype}" if is_self_check else sentences[result.item.name]
        accuracy = f"{result.error:.4g} of {result.budget:.4g}" if result.budget else ""
        dtype = "" if is_self_check else result.item.dtype
        table.append((result.item.name, dtype, "pass" if result.passed else "FAIL", accuracy, sentence))
    for requirement, capability in not_claimed(run.profile):
        table.append((requirement.id, "", "NOT-CLAIMED", f"no {capability}", requirement.sentence))
    return table


def markdown(run: Run) -> str:
    """A page with the verdict, the table and the failure texts."""
    described = ", ".join(f"{name} {value}" for name, value in run.description.items())
    lines = [
        f"# Conformance of {_escaped(run.description['target'])}",
        "",
        f"**{_escaped(run.reason)}** (exit code {int(run.exit_code)}). {_escaped(described)}.",
        "",
        "| requirement | format | outcome | error in ulp | |",
        "|---|---|---|---|---|",
    ]
    lines += ["| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in rows(run)]
    failures = [result.text for result in run.results if result.text]
    if failures:
        lines += ["", "## Failures"]
        for text in failures:
            lines += ["", *("    " + line for line in text.splitlines())]
    return "\n".join(lines) + "\n"


def summary(run: Run, width: int) -> list[str]:
    """The table for a terminal."""
    table = rows(run)
    lines = [", ".join(f"{name}: {value}" for name, value in run.description.items())]
    for name, dtype, outcome, accuracy, sentence in table:
        line = f"{name:<12}{dtype:<10}{outcome:<12}{accuracy:<22}{sentence}"
        lines.append(line if len(line) <= width else line[: width - 3] + "...")
    return lines


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _escaped(text: str) -> str:
    for character in "&<>|":
        text = text.replace(character, {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|"}[character])
    return text


def _finite(value: float) -> float | str:
    return value if abs(value) < float("inf") else repr(value)
