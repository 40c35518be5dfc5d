"""Read the vectors of the detection side, checked against their manifest.

>>> from focal_ref.conformance.detection.vectors import load_tests
>>> test = load_tests("boxes")[3]
>>> test["id"], test["exact"], test["float32"]
('iou/half', [1, 2], '3f000000')
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

# The loaders speak of broken files in the same words.
from focal_ref.conformance.vectors import VectorError, _check_version, _get, _parse, _read

__all__ = ["VectorError", "load_tests", "set_names"]

_MANIFEST = "manifest.json"


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
        If a file is missing, malformed, or not the one that the manifest describes.
    """
    folder = _directory(directory)
    sets = _manifest(folder)["sets"]
    if name not in sets:
        raise VectorError(f"{_MANIFEST}: sets: no set {name!r}; known are {', '.join(sets)}")
    where = f"{_MANIFEST}: sets.{name}"
    file, digest, count = (_get(sets[name], key, where) for key in ("file", "sha256", "tests"))
    content = _read(folder, file)
    if hashlib.sha256(content).hexdigest() != digest:
        raise VectorError(f"{file}: sha256 differs from that in {_MANIFEST} (sets.{name}.sha256)")
    tests = tuple(_get(_parse(content, file), "tests", file))
    if len(tests) != count:
        raise VectorError(f"{file}: {len(tests)} tests, but {_MANIFEST} says {count}")
    return tests


def _directory(directory: Traversable | None) -> Traversable:
    return directory or files("focal_ref.conformance.detection") / "vectors"


def _manifest(folder: Traversable) -> dict[str, Any]:
    document = _parse(_read(folder, _MANIFEST), _MANIFEST)
    _check_version(document, _MANIFEST)
    _get(document, "sets", _MANIFEST)
    return document
