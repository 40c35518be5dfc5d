"""The record of a run: JSON lines, from which every report is made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from focal_ref.conformance.gate import ExitCode, Result, not_claimed
from focal_ref.conformance.profiles import Profile

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
    lines += [{"kind": "item", **result.record()} for result in run.results]
    for requirement, capability in not_claimed(run.profile):
        lines.append({"kind": "not-claimed", "requirement": requirement.id, "capability": capability})
    lines.append({"kind": "verdict", "exit_code": int(run.exit_code), "reason": run.reason})
    return lines
