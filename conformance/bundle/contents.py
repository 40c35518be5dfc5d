"""What is in a bundle: every file as bytes, by its path, made from the installed vectors alone."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from focal_ref import __version__
from focal_ref.conformance import vectors
from focal_ref.conformance.bundle import tables
from focal_ref.conformance.bundle.exhaustive import RECIPE
from focal_ref.conformance.detection import vectors as detection_vectors
from focal_ref.conformance.family import vectors as family_vectors
from focal_ref.conformance.vectors import VectorError

BUNDLE_VERSION = 1
"""Of the layout of a bundle; readers refuse one that they don't know."""

MANIFEST = "manifest.json"
EXHAUSTIVE = "exhaustive"

FOLDERS: Mapping[str, str] = {
    "focal": "focal_ref.conformance",
    "family": "focal_ref.conformance.family",
    "detection": "focal_ref.conformance.detection",
}
"""Kinds of vectors, and the packages beside whose modules their files lie."""

SCHEMAS: Mapping[str, str] = {
    "focal": "vectors.schema.json",
    "family": "family.schema.json",
    "detection": "detection.schema.json",
}
MANIFEST_SCHEMA = "manifest.schema.json"
EXHAUSTIVE_SCHEMA = "exhaustive.schema.json"


def set_names() -> tuple[str, ...]:
    """Every set, as KIND/NAME, and the exhaustive recipes."""
    return (
        *(f"focal/{name}" for name in vectors.vector_set_names()),
        *(f"family/{name}" for name in family_vectors.function_names()),
        *(f"detection/{name}" for name in detection_vectors.set_names()),
        EXHAUSTIVE,
    )


def chosen(sets: Sequence[str]) -> tuple[str, ...]:
    """Names of sets, where KIND alone stands for all of it; everything if none is named.

    Raises
    ------
    VectorError
        For a name that is none.
    """
    known = set_names()
    for name in sets:
        if name not in known and name not in FOLDERS:
            raise VectorError(f"no set {name!r}; known are {', '.join((*FOLDERS, *known))}")
    return tuple(name for name in known if not sets or name in sets or name.partition("/")[0] in sets)


def contents(sets: Sequence[str] = ()) -> dict[str, bytes]:
    """Every file of a bundle by its path, the manifest last.

    Parameters
    ----------
    sets
        As in `chosen`.

    Raises
    ------
    VectorError
        If an installed file is not the one that its own manifest describes.
    """
    names = chosen(sets)
    described = {name: describe(name) for name in names}
    made: dict[str, bytes] = {described[name]["file"]: read(name) for name in names}
    for kind, schema in SCHEMAS.items():
        if any(name.startswith(f"{kind}/") for name in names):
            made[f"{kind}/{schema}"] = (_folder(kind) / schema).read_bytes()
    made |= _tables(names)
    here = files("focal_ref.conformance.bundle")
    if EXHAUSTIVE in names:
        made[EXHAUSTIVE_SCHEMA] = (here / EXHAUSTIVE_SCHEMA).read_bytes()
    made[MANIFEST_SCHEMA] = (here / MANIFEST_SCHEMA).read_bytes()
    made["documented.toml"] = (_folder("focal") / "documented.toml").read_bytes()
    made["VERSION"] = f"{__version__}\n".encode()
    made["LICENSE"] = (here / "LICENSE").read_bytes()
    made["README.md"] = _readme(sum(entry["tests"] for entry in described.values())).encode()
    made = dict(sorted(made.items()))
    made[MANIFEST] = _manifest(described, made)
    return made


def read(name: str) -> bytes:
    """The file of a set, after a check against the manifest that it came with."""
    if name == EXHAUSTIVE:
        return (files("focal_ref.conformance.bundle") / "exhaustive.json").read_bytes()
    load(name)
    kind, _, short = name.partition("/")
    content: bytes = (_folder(kind) / f"{short}.json").read_bytes()
    return content


def load(name: str) -> Any:
    """A set as its own reader gives it, which checks it."""
    kind, _, short = name.partition("/")
    if kind == "focal":
        return vectors.load_vectors(short)
    if kind == "family":
        return family_vectors.load_vectors(short)
    return detection_vectors.load_tests(short)


def describe(name: str) -> dict[str, Any]:
    """What the bundle's manifest says about a set."""
    document = json.loads(read(name))
    if name == EXHAUSTIVE:
        return {
            "file": "exhaustive.json",
            "subject": "All logits of the 16-bit formats",
            "tests": len(document["tests"]),
        }
    groups = document.get("groups")
    tests = document["tests"] if groups is None else [test for group in groups for test in group["tests"]]
    entry = {"file": f"{name}.json", "subject": document["subject"], "tests": len(tests)}
    if groups is not None:
        dtypes = ("float64", "float32", "float16", "bfloat16")
        counts = {name: sum(len(group["tests"]) for group in groups if group["dtype"] == name) for name in dtypes}
        entry["tests_per_dtype"] = counts
    return entry


def _tables(names: Sequence[str]) -> dict[str, bytes]:
    made = {}
    focal = [load(name) for name in names if name.startswith("focal/")]
    family = [load(name) for name in names if name.startswith("family/")]
    if focal:
        made["csv/focal.csv"] = tables.focal_table(focal).encode()
    if family:
        made["csv/family.csv"] = tables.family_table(family).encode()
    if "detection/boxes" in names:
        made["csv/overlaps.csv"] = tables.overlap_table(load("detection/boxes")).encode()
    return made


def _readme(tests: int) -> str:
    text = (files("focal_ref.conformance.bundle") / "README.md").read_text(encoding="utf-8")
    return text.format(version=__version__, bundle_version=BUNDLE_VERSION, tests=f"{tests:,}", recipe=RECIPE)


def _manifest(described: Mapping[str, Any], made: Mapping[str, bytes]) -> bytes:
    listed: dict[str, dict[str, Any]] = {
        path: {"sha256": digest(content), "bytes": len(content)} for path, content in made.items()
    }
    document = {
        "bundle_version": BUNDLE_VERSION,
        "suite_version": __version__,
        "sha256": digest_of_all(listed),
        "tests": sum(entry["tests"] for entry in described.values()),
        "sets": dict(described),
        "files": listed,
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def digest_of_all(listed: Mapping[str, Mapping[str, Any]]) -> str:
    """One SHA-256 for a bundle: of its files' own, in the order of the manifest."""
    return digest("".join(f"{entry['sha256']}  {path}\n" for path, entry in listed.items()).encode())


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def schema_of(name: str) -> tuple[str, Any]:
    """Path in a bundle, and contents, of the JSON Schema of a set."""
    kind = name.partition("/")[0]
    if kind == EXHAUSTIVE:
        return EXHAUSTIVE_SCHEMA, _json(files("focal_ref.conformance.bundle") / EXHAUSTIVE_SCHEMA)
    return f"{kind}/{SCHEMAS[kind]}", _json(_folder(kind) / SCHEMAS[kind])


def manifest_schema() -> Any:
    """The JSON Schema of a bundle's manifest."""
    return _json(files("focal_ref.conformance.bundle") / MANIFEST_SCHEMA)


def _json(path: Any) -> Any:
    return json.loads(path.read_bytes())


def _folder(kind: str) -> Any:
    return files(FOLDERS[kind]) / "vectors"
