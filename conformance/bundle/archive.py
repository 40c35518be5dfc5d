"""Bundles as folders and as ZIP files: written whole or not at all, and read back to be verified."""

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from jsonschema import Draft202012Validator

from focal_ref.conformance.bundle.contents import (
    BUNDLE_VERSION,
    MANIFEST,
    digest,
    digest_of_all,
    manifest_schema,
    schema_of,
)
from focal_ref.conformance.vectors import VectorError

DATE = (1980, 1, 1, 0, 0, 0)
"""Of every file of an archive: the earliest one that ZIP knows, so that the same contents are the same bytes."""

LARGEST = 1 << 28
"""Bytes of a file that is still read; the vectors have some ten million in all."""


def write(made: Mapping[str, bytes], path: Path) -> None:
    """Write a bundle to a new folder, or to a ``.zip`` file.

    Raises
    ------
    VectorError
        If the folder exists and is not empty, or cannot be written.
    """
    try:
        if path.suffix == ".zip":
            _write_archive(made, path)
        else:
            _write_folder(made, path)
    except OSError as error:
        raise VectorError(f"{path}: cannot be written: {error.strerror or error}") from error


def complaints(path: Path) -> Iterator[str]:
    """What is wrong with a bundle, a sentence each.

    Raises
    ------
    VectorError
        If it is none, or cannot be read.
    """
    found = _read(path)
    manifest = _manifest(found, path)
    listed = manifest["files"]
    for name in sorted(set(listed) - set(found)):
        yield f"{name}: is missing"
    for name in sorted(set(found) - set(listed) - {MANIFEST}):
        yield f"{name}: is not in {MANIFEST}"
    if digest_of_all(listed) != manifest["sha256"]:
        yield f"{MANIFEST}: sha256 is {manifest['sha256']}, but its files give {digest_of_all(listed)}"
    whole = [name for name in listed if name in found]
    for name in whole:
        if digest(found[name]) != listed[name]["sha256"]:
            yield f"{name}: sha256 is {digest(found[name])}, but {MANIFEST} says {listed[name]['sha256']}"
    for name, entry in manifest["sets"].items():
        if entry["file"] in whole:
            yield from _set_complaints(name, entry, found)


def _write_archive(made: Mapping[str, bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # Not compressed: what a compressor makes of it depends on its version.
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for name, content in made.items():
                entry = zipfile.ZipInfo(f"{_stem(made)}/{name}", DATE)
                entry.create_system = 3
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_folder(made: Mapping[str, bytes], path: Path) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise VectorError(f"{path}: exists and is not an empty folder; name a new one")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        for name, content in made.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(content)
        temporary.chmod(0o755)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _stem(made: Mapping[str, bytes]) -> str:
    """The folder in an archive, so that unpacking makes one."""
    return f"focal-ref-vectors-{made['VERSION'].decode().strip()}"


def _read(path: Path) -> dict[str, bytes]:
    """Every file of a bundle by its path in it."""
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if file.is_file()]
        return {file.relative_to(path).as_posix(): _bounded(file) for file in files}
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            for entry in entries:
                if entry.file_size > LARGEST:
                    raise VectorError(f"{path}: {entry.filename}: larger than {LARGEST} bytes")
            # Names are keys here and never paths of files that would be written.
            return {
                PurePosixPath(entry.filename).as_posix().partition("/")[2]: archive.read(entry) for entry in entries
            }
    # Encrypted files are a RuntimeError, unknown compression is a NotImplementedError, which is one too.
    except (OSError, RuntimeError, zipfile.BadZipFile) as error:
        raise VectorError(f"{path}: is neither a folder nor a ZIP file that can be read: {error}") from error


def _bounded(file: Path) -> bytes:
    if file.stat().st_size > LARGEST:
        raise VectorError(f"{file}: larger than {LARGEST} bytes")
    return file.read_bytes()


def _manifest(found: Mapping[str, bytes], path: Path) -> dict[str, Any]:
    if MANIFEST not in found:
        raise VectorError(f"{path}: is no bundle: it has no {MANIFEST}")
    document = _parsed(found[MANIFEST], MANIFEST)
    version = document.get("bundle_version") if isinstance(document, dict) else None
    if version != BUNDLE_VERSION:
        raise VectorError(f"{MANIFEST}: bundle_version is {version!r}, expected {BUNDLE_VERSION}")
    wrong = next(Draft202012Validator(manifest_schema()).iter_errors(document), None)
    if wrong is not None:
        raise VectorError(f"{MANIFEST}: {wrong.json_path}: {wrong.message[:200]}")
    return dict(document)


def _set_complaints(name: str, entry: Mapping[str, Any], found: Mapping[str, bytes]) -> Iterator[str]:
    """Schema and number of tests of one set."""
    file = entry["file"]
    try:
        document = _parsed(found[file], file)
    except VectorError as error:
        yield str(error)
        return
    wrong = next(Draft202012Validator(schema_of(name)[1]).iter_errors(document), None)
    if wrong is not None:
        yield f"{file}: {wrong.json_path}: {wrong.message[:200]}"
        return
    groups = document.get("groups", [document])
    count = sum(len(group["tests"]) for group in groups)
    if count != entry["tests"]:
        yield f"{file}: {count} tests, but {MANIFEST} says {entry['tests']}"


def _parsed(content: bytes, name: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise VectorError(f"{name}: is no JSON: {error}") from error
