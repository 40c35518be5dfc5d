"""The record of a run: JSON lines, from which every report is made."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from focal_ref._version import __version__
from focal_ref.conformance.claims import not_claimed
from focal_ref.conformance.gate import SELF_CHECK, ExitCode, Item, Result
from focal_ref.conformance.profiles import Profile
from focal_ref.conformance.requirements import AREAS, requirements

RECORD_VERSION = 2

MAXIMUM_BYTES = 256 * 2**20
"""Larger files are no records: a run writes about a megabyte."""

KINDS = ("run", "requirement", "item", "not-claimed", "not-run", "verdict")
"""Of lines, each with its part of ``record.schema.json``."""


class RecordError(ValueError):
    """A record that cannot be used; the text names file and line."""


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
    level
        The release whose requirements count, or "" for all of this one.
    command
        What repeats the run.
    expected
        Everything that had to be run.
    """

    description: Mapping[str, str]
    profile: Profile
    results: Sequence[Result]
    exit_code: ExitCode
    reason: str
    level: str = ""
    command: str = ""
    expected: Sequence[Item] = ()


@dataclass(frozen=True)
class RequirementText:
    """What a record says of a requirement, so that a page can be made where the suite is another version."""

    id: str
    area: str
    subject: str
    level: str
    since: str
    sentence: str
    formula: str
    source: str
    rationale: str


@dataclass(frozen=True)
class Record:
    """Everything that is known of a run; reports are made from this alone.

    Attributes
    ----------
    text
        The file.
    head
        The line about the run.
    requirements
        By id, in the order of the suite.
    results
        One an item.
    not_claimed
        Requirements without a claim, each with the capability that is missing.
    not_run
        What had to be run and was not.
    exit_code, reason
        The verdict.
    """

    text: str
    head: Mapping[str, Any]
    requirements: Mapping[str, RequirementText]
    results: tuple[Result, ...]
    not_claimed: tuple[tuple[str, str], ...]
    not_run: tuple[Item, ...]
    exit_code: int
    reason: str

    @classmethod
    def of(cls, run: Run) -> "Record":
        """The record of a run that has just ended."""
        lines = [json.dumps(line, sort_keys=True, allow_nan=False) + "\n" for line in record_lines(run)]
        return parse_record("".join(lines), "this run")

    @property
    def id(self) -> str:
        """Names the contents; the pages carry it."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    @property
    def target(self) -> str:
        """Name of what was tested."""
        return str(self.head["target"]["target"])

    @property
    def described(self) -> dict[str, str]:
        """What was tested and where, by name."""
        proved = dict(self.head["target"])
        first = {name: proved.pop(name) for name in ("target", "version", "library", "device") if name in proved}
        return {**first, **proved, **self.head["versions"], "platform": self.head["platform"]}

    @property
    def failed(self) -> tuple[Result, ...]:
        """Items that failed, are not expected to, and count."""
        return tuple(result for result in self.results if result.is_red)

    @property
    def waived(self) -> tuple[Result, ...]:
        """Items that failed as expected."""
        return tuple(result for result in self.results if not result.passed and result.waiver)

    @property
    def tentative(self) -> tuple[Result, ...]:
        """Items that failed and do not count yet."""
        return tuple(result for result in self.results if not (result.passed or result.waiver or result.is_red))

    @property
    def is_conformant(self) -> bool:
        """Whether the run was green and needed no waiver."""
        is_complete = bool(self.results) and not self.not_run
        return self.exit_code == ExitCode.CONFORMANT and is_complete and not (self.failed or self.waived)


def record_lines(run: Run) -> list[dict[str, Any]]:
    """The run as JSON data, one entry a line; ``docs/reports.md`` explains each field."""
    executed = {result.item for result in run.results}
    missing = [item for item in run.expected if item not in executed]
    lacking = not_claimed(run.profile)
    named = {item.name for item in (*executed, *missing)} | {requirement.id for requirement, _ in lacking}
    profile = run.profile
    lines: list[dict[str, Any]] = [
        {
            "kind": "run",
            "version": RECORD_VERSION,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "target": {str(name): str(value) for name, value in run.description.items()},
            "versions": {"focal-ref": __version__, "python": platform.python_version(), "numpy": np.__version__},
            "platform": f"{platform.system()} {platform.machine()}",
            "profile": {
                "name": profile.name,
                "kind": profile.kind,
                "package": profile.package,
                "conventions": dict(profile.conventions),
                "tiers": dict(profile.tiers),
                "capabilities": sorted(profile.capabilities),
            },
            "vectors": dict(_hashes()),
            "level": run.level,
            "command": run.command,
        }
    ]
    texts = ("id", "area", "level", "since", "sentence", "formula", "source", "rationale")
    lines += [
        {"kind": "requirement", "subject": AREAS[entry.area], **{name: getattr(entry, name) for name in texts}}
        for entry in requirements().values()
        if entry.id in named
    ]
    lines += [{"kind": "item", **result.record()} for result in run.results]
    lines += [
        {"kind": "not-claimed", "requirement": requirement.id, "capability": capability}
        for requirement, capability in lacking
    ]
    lines += [{"kind": "not-run", "requirement": item.name, "dtype": item.dtype} for item in missing]
    lines.append({"kind": "verdict", "exit_code": int(run.exit_code), "reason": run.reason})
    return lines


def load_record(path: Path) -> Record:
    """The record in a file.

    Raises
    ------
    RecordError
        If there is none, or if it is not one of this version, complete and consistent.
    """
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise RecordError(f"{path}: larger than {MAXIMUM_BYTES // 2**20} MiB; no run writes such a record")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}; give the .jsonl file of a run") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: not UTF-8; give the .jsonl file of a run") from error
    return parse_record(text, str(path))


def parse_record(text: str, source: str) -> Record:
    """A record from its text; `source` names it in errors."""
    lines = [_parsed(line, f"{source}:{number}") for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise RecordError(f"{source}: empty; it is no record of a run")
    head, last = lines[0], lines[-1]
    if head.get("kind") == "run" and head.get("version") != RECORD_VERSION:
        raise RecordError(
            f"{source}:1: version: got {_shortened(head.get('version'))}; this focal-ref ({__version__}) reads "
            f"{RECORD_VERSION}; run the suite again, or use the focal-ref that wrote the record"
        )
    found: dict[str, list[Mapping[str, Any]]] = {kind: [] for kind in KINDS}
    for number, line in enumerate(lines, 1):
        place = f"{source}:{number}"
        kind = line.get("kind")
        if not isinstance(kind, str) or kind not in KINDS:
            raise RecordError(f"{place}: kind: got {_shortened(kind)}; allowed are {', '.join(KINDS)}")
        _validate(line, kind, place)
        if (kind == "run") != (line is head) or (kind == "verdict") != (line is last):
            raise RecordError(f"{place}: a record begins with the line of the run and ends with that of the verdict")
        if kind == "requirement" and any(line["id"] == other["id"] for other in found[kind]):
            raise RecordError(f"{place}: {_shortened(line['id'])}: here for the second time")
        found[kind].append(line)
    known = {line["id"]: _requirement(line) for line in found["requirement"]}
    items: set[tuple[str, str]] = set()
    for number, line in enumerate(lines, 1):
        if "requirement" not in line:
            continue
        name, dtype = line["requirement"], line.get("dtype", "not claimed")
        if name != SELF_CHECK and name not in known:
            raise RecordError(f"{source}:{number}: requirement: {_shortened(name)} is not described by the record")
        if (name, dtype) in items:
            raise RecordError(f"{source}:{number}: {_shortened(name)} {_shortened(dtype)}: here for the second time")
        items.add((name, dtype))
    return Record(
        text,
        head,
        known,
        tuple(Result.from_record(line) for line in found["item"]),
        tuple((line["requirement"], line["capability"]) for line in found["not-claimed"]),
        tuple(Item(line["requirement"], line["dtype"]) for line in found["not-run"]),
        last["exit_code"],
        last["reason"],
    )


def _parsed(line: str, place: str) -> Mapping[str, Any]:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON number")

    try:
        data = json.loads(line, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{place}: not JSON: {_shortened(str(error), quoted=False)}") from error
    if not isinstance(data, dict):
        raise RecordError(f"{place}: got {_shortened(data)}; each line is a JSON object")
    return data


def _validate(line: Mapping[str, Any], kind: str, place: str) -> None:
    error = next(iter(sorted(_validator(kind).iter_errors(line), key=lambda error: list(map(str, error.path)))), None)
    if error is not None:
        key = ".".join(map(str, error.absolute_path))
        message = _shortened(error.message, quoted=False)
        raise RecordError(f"{place}: {key + ': ' if key else ''}{message}")


@cache
def _validator(kind: str) -> Any:
    from jsonschema import Draft202012Validator

    schema = json.loads((files(__package__) / "record.schema.json").read_text(encoding="utf-8"))
    return Draft202012Validator({"$defs": schema["$defs"], "$ref": f"#/$defs/{kind}"})


@cache
def _hashes() -> Mapping[str, str]:
    """SHA-256 of each stored set, as the manifests have it."""
    hashes: dict[str, str] = {}
    for folder in ("", "family/", "detection/"):
        place = files("focal_ref.conformance").joinpath(f"{folder}vectors/manifest.json")
        manifest = json.loads(place.read_text(encoding="utf-8"))
        entries = manifest.get("sets") or manifest["functions"]
        hashes |= {f"{folder}{name}": entry["sha256"] for name, entry in entries.items()}
    return hashes


def _requirement(line: Mapping[str, Any]) -> RequirementText:
    return RequirementText(**{name: line[name] for name in RequirementText.__dataclass_fields__})


def _shortened(value: Any, *, quoted: bool = True) -> str:
    """One short line that a terminal shows as it is."""
    text = ascii(value) if quoted else ascii(value)[1:-1]
    return text if len(text) <= 160 else f"{text[:157]}..."
