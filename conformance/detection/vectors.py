"""Read the vectors of the detection side, checked against their manifest.

>>> from focal_ref.conformance.detection.vectors import load_tests
>>> test = load_tests("boxes")[3]
>>> test["id"], test["exact"], test["float32"]
('iou/half', [1, 2], '3f000000')
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from focal_ref.conformance.vectors import VectorError

__all__ = ["VectorError", "load_tests", "set_names"]


def set_names(directory: Traversable | None = None) -> tuple[str, ...]:
    """Names of the files, in the manifest's order."""
    return tuple(_manifest(_directory(directory))["sets"])


@cache
def load_tests(name: str, directory: Traversable | None = None) -> tuple[Mapping[str, Any], ...]:
    """The tests of one file.

    Parameters
    ----------
    name : str
        One of `set_names`.
    directory : Traversable, optional
        Where the files are; the installed ones if absent.

    Raises
    ------
    VectorError
        If the file is not the one that the manifest describes.
    """
    folder = _directory(directory)
    sets = _manifest(folder)["sets"]
    if name not in sets:
        raise VectorError(f"manifest.json: sets: no set {name!r}; known are {', '.join(sets)}")
    entry = sets[name]
    content = folder.joinpath(entry["file"]).read_bytes()
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise VectorError(f"{entry['file']}: sha256 differs from that in manifest.json (sets.{name}.sha256)")
    tests = tuple(json.loads(content)["tests"])
    if len(tests) != entry["tests"]:
        raise VectorError(f"{entry['file']}: {len(tests)} tests, but manifest.json says {entry['tests']}")
    return tests


def _directory(directory: Traversable | None) -> Traversable:
    return directory or files("focal_ref.conformance.detection") / "vectors"


def _manifest(folder: Traversable) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(folder.joinpath("manifest.json").read_text(encoding="utf-8"))
    if document.get("format_version") != 1:
        raise VectorError(f"manifest.json: format_version: got {document.get('format_version')!r}; allowed is 1")
    return document
