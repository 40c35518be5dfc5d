"""Expected failures: a TOML file a target, held to exactly what fails. docs/gate.md is the page about it."""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from focal_ref.conformance.requirements import requirements

MAXIMUM_NAMED = 3
"""Cases that a text names; the rest are counted."""


class WaiverError(ValueError):
    """A waiver file that cannot be used; the text names file, key, value and what is allowed."""


@dataclass(frozen=True)
class Facts:
    """What a run proved about its target, by which conditions are decided.

    Attributes
    ----------
    device
        Such as "cpu" or "cuda:0".
    version
        Of the package, or None if the target proves none.
    today
        Against which expiry is held.
    """

    device: str
    version: Version | None
    today: date

    @classmethod
    def of(cls, description: Mapping[str, str], today: date) -> "Facts":
        """The facts in a target's description, such as ``{"version": "optax 0.2.8", "device": "cpu"}``."""
        words = description.get("version", "").split()
        try:
            version = Version(words[-1]) if words else None
        except InvalidVersion:
            version = None
        return cls(description.get("device", ""), version, today)


@dataclass(frozen=True)
class Waiver:
    """One expected failure; see `waivers.schema.json` for the fields."""

    number: int
    requirement: str
    signature: str
    reason: str
    link: str
    expires: date
    vectors: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    device: str = ""
    version: str = ""

    @property
    def name(self) -> str:
        """What texts call it."""
        return f"waiver {self.number} ({self.requirement})"

    @property
    def text(self) -> str:
        """Reason and link, for reports."""
        return f"{self.reason} ({self.link})"

    def in_force(self, facts: Facts) -> bool:
        """Whether device and version are those of the run."""
        device = facts.device.partition(":")[0] if ":" not in self.device else facts.device
        if self.device and self.device != device:
            return False
        return not self.version or (
            facts.version is not None and SpecifierSet(self.version).contains(facts.version, prereleases=True)
        )

    def covers(self, requirement: str, dtype: str) -> bool:
        """Whether a requirement in a format is meant."""
        return requirement == self.requirement and (not self.dtypes or dtype in self.dtypes)

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], ...]:
        return tuple(pattern_of(glob) for glob in self.vectors)

    def selects(self, case: str) -> bool:
        """Whether a case is meant."""
        return not self.vectors or any(pattern.fullmatch(case) for pattern in self._patterns)


@dataclass(frozen=True)
class WaiverFile:
    """The expected failures of one target."""

    source: str
    target: str
    waivers: tuple[Waiver, ...]


@dataclass(frozen=True)
class Failure:
    """What an item that was run came to, as far as waivers are concerned.

    Attributes
    ----------
    requirement, dtype
        The item.
    failing
        Cases by the way in which they failed; empty where all passed.
    passing
        Cases that passed.
    """

    requirement: str
    dtype: str
    failing: Mapping[str, Sequence[str]] = field(default_factory=dict)
    passing: Sequence[str] = ()

    @property
    def name(self) -> str:
        """What texts call it."""
        return f"{self.requirement} {self.dtype}".strip()


def pattern_of(glob: str) -> re.Pattern[str]:
    """A glob of ids: ``*`` stands for any text, and everything else for itself."""
    return re.compile(".*".join(re.escape(part) for part in glob.split("*")), re.DOTALL)


def load_waivers(path: str | Path) -> WaiverFile:
    """Read a waiver file.

    Raises
    ------
    WaiverError
        If it cannot be read, or is not what `waivers.schema.json` says.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WaiverError(f"--waivers: {path}: cannot be read: {error}") from error
    return parse_waivers(text, str(path))


def parse_waivers(text: str, source: str) -> WaiverFile:
    """The expected failures in the text of a TOML file; `source` names it in errors."""
    import jsonschema

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WaiverError(f"{source}: not valid TOML: {error}") from error
    schema = json.loads(files("focal_ref.conformance").joinpath("waivers.schema.json").read_text(encoding="utf-8"))
    wrong = sorted(
        jsonschema.Draft202012Validator(schema).iter_errors(_dates_as_text(document)),
        key=lambda e: list(map(str, e.path)),
    )
    if wrong:
        raise WaiverError(f"{source}: {_explained(wrong[0])}")
    waivers = [_waiver(entry, number, source) for number, entry in enumerate(document["waiver"], 1)]
    return WaiverFile(source, document["target"], tuple(waivers))


def waived(item: Failure, file: WaiverFile, facts: Facts) -> str:
    """Reasons why everything that failed of an item is expected, or "" if something is not."""
    if not item.failing:
        return ""
    usable = [waiver for waiver in _in_question(item, file, facts) if waiver.expires >= facts.today]
    used: dict[str, None] = {}
    for way, cases in item.failing.items():
        for case in cases:
            waiver = next((one for one in usable if one.signature == way and one.selects(case)), None)
            if waiver is None:
                return ""
            used[waiver.text] = None
    return "; ".join(used)


def is_unexpected(item: Failure, file: WaiverFile, facts: Facts) -> bool:
    """Whether something failed that no waiver speaks of, not even an expired one or one of another signature."""
    waivers = _in_question(item, file, facts)
    cases = [case for cases in item.failing.values() for case in cases]
    return not cases or any(not any(waiver.selects(case) for waiver in waivers) for case in cases)


def problems(
    file: WaiverFile, expected: Sequence[tuple[str, str]], items: Sequence[Failure], facts: Facts
) -> list[str]:
    """What is wrong with a waiver file after a run, one line each, with what to do about it.

    Parameters
    ----------
    file
        The expected failures.
    expected
        Requirement and format of everything that the run has to do.
    items
        What was run of it. Of waivers that speak of something else as well nothing is said.
    facts
        What the run proved.
    """
    return [f"{file.source}: {text}" for waiver in file.waivers for text in _problems(waiver, expected, items, facts)]


def _problems(waiver: Waiver, expected: Sequence[tuple[str, str]], items: Sequence[Failure], facts: Facts) -> list[str]:
    known = [one for one in expected if one[0] == waiver.requirement]
    covered = [one for one in known if waiver.covers(*one)]
    if not known:
        return [f"{waiver.name}: unmatched: the run has no {waiver.requirement}; remove it"]
    unknown = [dtype for dtype in waiver.dtypes if dtype not in {dtype for _, dtype in known}]
    if unknown:
        formats = ", ".join(dtype for _, dtype in known if dtype) or "once, so leave when.dtype out"
        return [f"{waiver.name}: unmatched: when.dtype {unknown[0]!r}; it is run in {formats}"]
    if waiver.version and facts.version is None:
        return [f"{waiver.name}: unmatched: when.version {waiver.version!r}, but the target proves no version"]
    if not waiver.in_force(facts):
        return []
    if waiver.expires < facts.today:
        return [f"{waiver.name}: expired on {waiver.expires}; mend the fault, or renew the waiver for a reason"]
    run = {(item.requirement, item.dtype): item for item in items}
    if any(one not in run for one in covered):
        return []
    return _misfits(waiver, [run[one] for one in covered])


def _misfits(waiver: Waiver, items: Sequence[Failure]) -> list[str]:
    """Whether a waiver covers exactly what fails of items that were run."""
    chosen = [case for item in items for cases in item.failing.values() for case in cases if waiver.selects(case)]
    if not chosen:
        if any(item.failing for item in items) and waiver.vectors:
            return [f"{waiver.name}: unmatched or stale: {_named(waiver.vectors)} names no case that fails"]
        return [f"{waiver.name}: stale: {waiver.requirement} passes now; remove the waiver"]
    texts = []
    for item in items:
        mine = {case for case in item.failing.get(waiver.signature, ()) if waiver.selects(case)}
        for way, cases in item.failing.items():
            others = [case for case in cases if way != waiver.signature and waiver.selects(case) and case not in mine]
            if others:
                expected = f"expected is {waiver.signature!r}, got {way!r}"
                texts.append(f"{waiver.name}: {item.name} fails in another way: {expected} in {_named(others)}")
        if not item.failing:
            narrow = "narrow when.dtype" if item.dtype else "remove it"
            texts.append(f"{waiver.name}: broader than what fails: {item.name} passes; {narrow}")
        passing = [case for case in item.passing if waiver.selects(case)]
        if item.failing and passing:
            narrow = "narrow vectors" if waiver.vectors else "name what fails in vectors"
            texts.append(f"{waiver.name}: broader than what fails: {item.name} passes in {_named(passing)}; {narrow}")
    for glob in waiver.vectors:
        if not any(pattern_of(glob).fullmatch(case) for case in chosen):
            texts.append(f"{waiver.name}: unmatched or stale: vectors {glob!r} names no case that fails; remove it")
    return texts


def _in_question(item: Failure, file: WaiverFile, facts: Facts) -> list[Waiver]:
    return [one for one in file.waivers if one.covers(item.requirement, item.dtype) and one.in_force(facts)]


def _named(cases: Sequence[str]) -> str:
    more = len(cases) - MAXIMUM_NAMED
    return ", ".join(cases[:MAXIMUM_NAMED]) + (f" and {more} more" if more > 0 else "")


def _waiver(entry: Mapping[str, Any], number: int, source: str) -> Waiver:
    place = f"{source}: waiver {number}"
    if entry["requirement"] not in requirements():
        raise WaiverError(f"{place}: requirement: got {entry['requirement']!r}; there is none of that id")
    expires = entry["expires"]
    if not isinstance(expires, date):
        try:
            expires = date.fromisoformat(expires)
        except ValueError as error:
            raise WaiverError(f"{place}: expires: got {expires!r}; it is a date such as 2027-06-30") from error
    when = entry.get("when", {})
    version = when.get("version", "")
    try:
        specifier = SpecifierSet(version)
    except InvalidSpecifier as error:
        raise WaiverError(f"{place}: when.version: got {version!r}; it is a specifier such as '<0.3'") from error
    if not _can_hold(specifier):
        raise WaiverError(f"{place}: when.version: got {version!r}, which no version fulfils")
    dtypes = when.get("dtype", ())
    return Waiver(
        number,
        entry["requirement"],
        entry["signature"],
        entry["reason"],
        entry["link"],
        expires,
        tuple(entry.get("vectors", ())),
        (dtypes,) if isinstance(dtypes, str) else tuple(dtypes),
        when.get("device", ""),
        version,
    )


def _can_hold(specifier: SpecifierSet) -> bool:
    """Whether a version beside or between those that are named fulfils a specifier."""
    named = [clause.version.removesuffix(".*") for clause in specifier]
    beside = [f"{version}{suffix}" for version in named for suffix in ("", ".1", ".post1")] + ["0", "99999"]
    if "===" in str(specifier):
        return True
    return not named or any(specifier.contains(version, prereleases=True) for version in beside)


def _dates_as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _dates_as_text(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_dates_as_text(entry) for entry in value]
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value


def _explained(error: Any) -> str:
    """Place, value and what is allowed."""
    # Of alternatives, the simple one says what is allowed.
    error = error.context[0] if error.validator == "anyOf" else error
    parts = list(error.absolute_path)
    if len(parts) > 1 and parts[0] == "waiver":
        parts[:2] = [f"waiver {parts[1] + 1}"]
        place = ": ".join([parts[0], ".".join(map(str, parts[1:]))]) if parts[1:] else parts[0]
    else:
        place = ".".join(map(str, parts))
    message = error.message
    if error.validator == "additionalProperties":
        message += f"; allowed are {', '.join(error.schema['properties'])}"
    elif parts[-1:] == ["expires"]:
        message += "; it is a date such as 2027-06-30"
    elif parts == ["waiver"]:
        message = "each waiver begins with [[waiver]]"
    return f"{place}: {message}" if place else message
