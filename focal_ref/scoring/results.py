"""The results directory: what was asked, one file a finished part, rejected rows, the report; written atomically."""

import hashlib
import json
import math
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from focal_ref.scoring.errors import ScoringError
from focal_ref.scoring.options import Options
from focal_ref.scoring.sources import Part, Source

FORMAT = "focal-ref score 1"


class Results:
    """A directory that holds one run, finished or not."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(os.path.abspath(directory))

    @property
    def report(self) -> Path:
        """The report, once all parts are done."""
        return self.directory / "report.json"

    def begin(self, options: Options, sources: Sequence[Source], versions: dict[str, str]) -> str:
        """Start a run, or go on with one of the same options, input and versions; the fingerprint of these.

        Raises
        ------
        ScoringError
            If the directory holds another run, or something else.
        """
        asked = {
            "format": FORMAT,
            "options": options.as_data(),
            "inputs": [source.as_data() for source in sources],
            "versions": versions,
        }
        fingerprint = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        file = self.directory / "run.json"
        if file.exists():
            before = _read(file)
            if before is None or before.get("fingerprint") != fingerprint:
                raise ScoringError(_difference(self.directory, before or {}, asked))
        elif self.directory.exists() and any(self.directory.iterdir()):
            raise ScoringError(f"results: {self.directory} holds other files; name a new or an empty directory")
        for folder in ("parts", "rejects"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        if not file.exists():
            write(file, {"fingerprint": fingerprint, **asked})
        return fingerprint

    def part(self, index: int) -> Path:
        """Where a part's sums are, once it is finished."""
        return self.directory / "parts" / f"{index:06d}.json"

    def rejects(self, index: int) -> Path:
        """Where a part's rejected rows are, if it has any."""
        return self.directory / "rejects" / f"{index:06d}.jsonl"

    def finished(self, part: Part, fingerprint: str) -> bool:
        """Whether nothing of a part is left to do; what could not be read is tried again."""
        data = self.written(part, fingerprint)
        return data is not None and not data["unreadable"]

    def clear(self) -> None:
        """Remove what killed processes left half written."""
        for file in self.directory.glob("**/.*.tmp"):
            file.unlink(missing_ok=True)

    def written(self, part: Part, fingerprint: str) -> dict[str, Any] | None:
        """What was found in a part; None where that is not there, damaged, or of another run."""
        data = _read(self.part(part.index))
        if data is None or data.get("fingerprint") != fingerprint:
            return None
        rejects = self.rejects(part.index)
        size = rejects.stat().st_size if rejects.exists() else 0
        return data if size == data["rejects_bytes"] else None


def write(file: Path, data: dict[str, Any]) -> None:
    """Write JSON so that after a crash at any time the file is the old one or the new one."""
    with Replacement(file) as replacement:
        replacement.file.write(json.dumps(json_numbers(data), indent=1, allow_nan=False).encode())


def json_numbers(data: Any) -> Any:
    """The same with the floats that JSON does not have as text: "NaN", "inf", "-inf"."""
    if isinstance(data, float) and not math.isfinite(data):
        return "NaN" if math.isnan(data) else str(data)
    if isinstance(data, dict):
        return {key: json_numbers(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [json_numbers(value) for value in data]
    return data


class Replacement:
    """A file under another name, which takes its place when all is written and on the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")

    def __enter__(self) -> "Replacement":
        self.file = open(self._temporary, "wb")
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            with self.file:
                if kind is not None:
                    return
                self.file.flush()
                os.fsync(self.file.fileno())
            os.replace(self._temporary, self._path)
        finally:
            self._temporary.unlink(missing_ok=True)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _read(file: Path) -> dict[str, Any] | None:
    """JSON of a file; None if there is none, or it is damaged."""
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _difference(directory: Path, before: dict[str, Any], now: dict[str, Any]) -> str:
    """What is not as it was when the directory was begun."""
    hint = "name a new directory, or go back to what it was begun with"
    for name in ("options", "versions"):
        old, new = before.get(name, {}), now[name]
        for key in new:
            if old.get(key) != new[key]:
                return f"results: {directory} was begun with {key}={old.get(key)!r}, now it is {new[key]!r}; {hint}"
    old, new = before.get("inputs", []), now["inputs"]
    for first, second in zip(old, new, strict=False):
        if first != second:
            changed = f"{first['path']} ({first['state']})"
            return (
                f"results: {directory} was begun with {changed}, now it is {second['path']} ({second['state']}); {hint}"
            )
    return f"results: {directory} was begun with {len(old)} files or stores, now there are {len(new)}; {hint}"
