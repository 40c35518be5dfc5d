"""What a release froze, and what of it still has to hold; docs/versioning.md is the policy.

``python -m focal_ref.conformance.versioning --write`` records the release that is being made; ``--check`` says whether
the record is up to date and every release before it still holds.
"""

import argparse
import hashlib
import json
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np

from focal_ref import __version__
from focal_ref.conformance.requirements import Requirement, requirements
from focal_ref.conformance.vectors import VectorError

SPEC = "0.1"
"""Version of requirements and budgets: it changes when either asks for something else."""

FIRST = "0.1"
"""The first release: everything in it is must-pass at once."""

MANIFESTS = ("vectors/manifest.json", "family/vectors/manifest.json", "detection/vectors/manifest.json")
TOMBSTONES = "tombstones.toml"

FROZEN = ("level", "since", "needs", "dtypes")
"""Fields of a requirement that stay as they were released; wording may become clearer."""


class LevelError(ValueError):
    """A level that is no release."""


def current() -> str:
    """The release that this suite is, or is becoming: the first two parts of its version."""
    return ".".join(__version__.split(".")[:2])


def releases(folder: Traversable | None = None) -> tuple[str, ...]:
    """Every release with a record, the oldest first."""
    names = [entry.name.removesuffix(".json") for entry in (folder or _folder()).iterdir() if entry.name[:1].isdigit()]
    return tuple(sorted(names, key=_parts))


def release(name: str, folder: Traversable | None = None) -> Mapping[str, Any]:
    """The record of one release."""
    path = (folder or _folder()) / f"{name}.json"
    document: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def level_named(name: str | None) -> str:
    """A level as asked for; the current release if none is.

    Raises
    ------
    LevelError
        If there is no such release.
    """
    if name is None:
        return current()
    if name not in releases():
        raise LevelError(f"--level: got {name!r}; releases are {', '.join(releases())}")
    return name


def is_tentative(since: str, level: str) -> bool:
    """Whether what came with one release does not count yet at the level of another: it does from the next one on."""
    return since != FIRST and _parts(since) >= _parts(level)


def tentative_cases(ids: Iterable[str], level: str, folder: Traversable | None = None) -> frozenset[str]:
    """Which of some cases are stored vectors that do not count yet at a level."""
    since: dict[str, str] = {}
    for name in releases(folder):
        for entries in release(name, folder)["vectors"].values():
            for entry in entries:
                since.setdefault(entry.partition(" ")[0], name)
    found = {identifier: since.get(_short(identifier)) for identifier in ids}
    return frozenset(identifier for identifier, name in found.items() if name is not None and is_tentative(name, level))


def check_data(folder: Traversable | None = None) -> None:
    """Hold the requirements and the manifests against the record of the release, and the vectors against the manifests.

    Raises
    ------
    VectorError
        Naming the file that is missing or altered.
    """
    package = folder or files("focal_ref.conformance")
    record = f"released/{current()}.json"
    try:
        document = json.loads((package / record).read_text(encoding="utf-8"))
        frozen, asked = document["manifests"], document["requirements"]
    except (OSError, ValueError, KeyError) as error:
        raise VectorError(f"{record}: cannot be read: {type(error).__name__}: {error}") from error
    for identifier, fields in asked.items():
        known = requirements().get(identifier)
        if (known is None or frozen_fields(known) != fields) and identifier not in tombstones()["requirements"]:
            raise VectorError(f"requirements.toml: altered: {identifier} is not as in {record}")
    for manifest in MANIFESTS:
        content = _content(package, manifest)
        if hashlib.sha256(content).hexdigest() != frozen.get(manifest):
            raise VectorError(f"{manifest}: altered: its sha256 is not the one in {record}")
        document = json.loads(content)
        place = manifest.rpartition("/")[0]
        for name, digest in _listed(document):
            if hashlib.sha256(_content(package, f"{place}/{name}")).hexdigest() != digest:
                raise VectorError(f"{place}/{name}: altered: its sha256 is not the one in {manifest}")


def snapshot() -> dict[str, Any]:
    """The record of the suite as it is now."""
    package = files("focal_ref.conformance")
    vectors: dict[str, list[str]] = {}
    manifests = {}
    for manifest in MANIFESTS:
        content = _content(package, manifest)
        manifests[manifest] = hashlib.sha256(content).hexdigest()
        place = manifest.rpartition("/")[0]
        document = json.loads(content)
        for name, entry in document.get("sets", document.get("functions")).items():
            tests = json.loads(_content(package, f"{place}/{entry['file']}"))
            vectors[f"{place}/{name}"] = sorted(f"{_short(test)} {_short(text)}" for test, text in _tests(tests))
    return {
        "release": current(),
        "date": None,
        "spec": SPEC,
        "protocol": _protocol(),
        "budgets": budgets_fingerprint(),
        "manifests": manifests,
        "requirements": {entry.id: frozen_fields(entry) for entry in requirements().values()},
        "vectors": vectors,
    }


def frozen_fields(requirement: Requirement) -> dict[str, Any]:
    """What a release freezes of a requirement."""
    fields = {name: getattr(requirement, name) for name in FROZEN}
    return {**fields, "needs": list(requirement.needs)}


def tombstones(folder: Traversable | None = None) -> Mapping[str, frozenset[str]]:
    """Ids that were withdrawn: "requirements", and "vectors" as short hashes.

    Raises
    ------
    ValueError
        If one has no id, date or reason.
    """
    document = tomllib.loads(((folder or _folder()) / TOMBSTONES).read_text(encoding="utf-8"))
    for kind in ("requirement", "vector"):
        for entry in document.get(kind, []):
            missing = [name for name in ("id", "date", "reason") if not entry.get(name)]
            if missing:
                raise ValueError(f"{TOMBSTONES}: {kind} {entry.get('id', '(no id)')!r}: no {', '.join(missing)}")
    return {
        "requirements": frozenset(entry["id"] for entry in document.get("requirement", [])),
        "vectors": frozenset(_short(entry["id"]) for entry in document.get("vector", [])),
    }


def violations(
    old: Mapping[str, Any], new: Mapping[str, Any], withdrawn: Mapping[str, frozenset[str]]
) -> Sequence[str]:
    """What of a release does not hold any more, one line each.

    Parameters
    ----------
    old
        The record of the release.
    new
        The record of the suite now, as `snapshot` makes it.
    withdrawn
        As `tombstones` gives it.
    """
    lines = []
    name = f"release {old['release']}"
    for identifier, fields in old["requirements"].items():
        now = new["requirements"].get(identifier)
        if identifier in withdrawn["requirements"]:
            continue
        if now is None:
            lines.append(f"{identifier} of {name} is gone; give it a tombstone")
        elif now != fields:
            changed = ", ".join(field for field in fields if now.get(field) != fields[field])
            lines.append(f"{identifier} of {name} has another {changed}; withdraw it and give a new one another id")
    present: dict[str, str] = {}
    for entries in new["vectors"].values():
        present.update(entry.split(" ") for entry in entries)
    for place, entries in old["vectors"].items():
        for identifier, content in (entry.split(" ") for entry in entries):
            if identifier in withdrawn["vectors"]:
                continue
            if identifier not in present:
                lines.append(f"{place}: vector {identifier} of {name} is gone; give it a tombstone")
            elif present[identifier] != content:
                lines.append(
                    f"{place}: vector {identifier} of {name} has other contents; withdraw it, and use a new id"
                )
    lines += [f"{one} has a tombstone, but is there" for one in withdrawn["requirements"] & set(new["requirements"])]
    lines += [f"vector {one} has a tombstone, but is there" for one in withdrawn["vectors"] & set(present)]
    if old["budgets"] != new["budgets"] and old["spec"] == new["spec"]:
        lines.append(f"budgets are others than in {name}; give the specification (SPEC) a new version")
    if new["protocol"] < old["protocol"]:
        lines.append(f"protocol {new['protocol']} is older than that of {name}")
    return lines


def budgets_fingerprint() -> str:
    """Stands for every budget: a hash of budgets over a grid of everything that they depend on."""
    from focal_ref.conformance.accuracy import absolute_budget, budget, family_budget
    from focal_ref.conformance.family.functions import FUNCTIONS
    from focal_ref.conformance.formats import FORMATS
    from focal_ref.conformance.profiles import TIERS

    texts = []
    exponents = np.array([0.0, 0.5, 1.0, 2.0, 5.0, 100.0])
    for tier in (*TIERS, "fast"):
        for format in FORMATS.values():
            for weighted in (False, True):
                for size in (0.0, 1.0, 50.0):
                    numbers = [budget(tier, format, exponents, weighted=weighted, modulation=size)]
                    if tier != "fast":
                        numbers += [
                            family_budget(name, tier, format, exponents, weighted=weighted, margin=size)
                            for name in FUNCTIONS
                        ]
                    texts += [f"{number:.6g}" for array in numbers for number in np.broadcast_to(array, 6).tolist()]
    sizes, probabilities = np.array([0.0, 1.0, 20.0, 700.0]), np.array([1e-30, 1e-7, 0.5, 1.0])
    for format in FORMATS.values():
        for quantity in ("value", "gradient"):
            for exponent in (0.0, 0.5, 2.0):
                for epsilon in (None, 1e-7, 1e-2):
                    allowed = absolute_budget(
                        format, quantity, size=sizes, probability=probabilities, exponent=exponent, epsilon=epsilon
                    )
                    texts += [f"{number:.6g}" for number in allowed.tolist()]
    return hashlib.sha256(" ".join(texts).encode()).hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the record of the release that is being made."""
    parser = argparse.ArgumentParser(prog="python -m focal_ref.conformance.versioning", description=main.__doc__)
    parser.add_argument("--write", action="store_true", help="record the release that is being made")
    parser.add_argument("--check", action="store_true", help="whether the record is up to date (the default)")
    options = parser.parse_args(arguments)
    path = Path(str(_folder())) / f"{current()}.json"
    new = snapshot()
    lines = [line for name in releases() if name != current() for line in violations(release(name), new, tombstones())]
    if path.exists() and release(current())["date"] is not None:
        lines += violations(release(current()), new, tombstones())
        if options.write and not lines:
            lines.append(f"{path.name}: {current()} is released; its record stays as it is")
    elif options.write and not lines:
        path.write_text(json.dumps(new, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    elif not path.exists() or release(current()) != new:
        lines.append(f"{path.name} is not up to date; run: python -m focal_ref.conformance.versioning --write")
    for line in lines:
        print(line, file=sys.stderr)
    return 1 if lines else 0


def _folder() -> Traversable:
    return files("focal_ref.conformance") / "released"


@cache
def _parts(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.split("."))


def _protocol() -> int:
    from focal_ref.conformance.protocol import PROTOCOL

    return PROTOCOL


def _content(package: Traversable, name: str) -> bytes:
    try:
        return (package / name).read_bytes()
    except OSError as error:
        raise VectorError(f"{name}: cannot be read: {error.strerror or error}") from error


def _listed(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Files of a manifest with their hashes."""
    for entry in manifest.get("sets", manifest.get("functions", {})).values():
        yield entry["file"], entry["sha256"]
    for name, entry in manifest.get("other_files", {}).items():
        yield name, entry["sha256"] if isinstance(entry, dict) else entry


def _tests(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Id of each test, and everything that it says but its note."""
    for group in document.get("groups", [document]):
        head = {name: value for name, value in group.items() if name not in ("tests", "subject", "source")}
        for test in group["tests"]:
            body = {name: value for name, value in test.items() if name != "note"}
            yield test["id"], json.dumps([head, body], sort_keys=True)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


if __name__ == "__main__":
    sys.exit(main())
