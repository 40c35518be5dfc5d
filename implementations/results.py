"""The files under results/: what is kept of a run, small enough to be read and compared."""

import json
import os
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from catalogue import FOLDER, Catalogue

PLACE = FOLDER / "results"
SCHEMA = FOLDER / "results.schema.json"
STATUSES = {"run": "run", "not run": "not-run"}
"""Of a file, and which part of the schema describes it."""


class ResultsError(Exception):
    """Results that cannot be used; one line that names file, key, value and what is allowed."""


def load(catalogue: Catalogue, place: Path = PLACE) -> dict[str, dict[str, Any]]:
    """The results of every implementation of the catalogue, in its order.

    Raises
    ------
    ResultsError
        If a file is missing, is none of results, or belongs to no entry.
    """
    names = [entry.name for entry in catalogue.implementations]
    for path in sorted(place.glob("*.json")):
        if path.stem not in names:
            raise ResultsError(
                f"results/{path.name}: no entry of catalogue.toml is called so; add one, or remove the file"
            )
    return {name: read(place / f"{name}.json") for name in names}


def read(path: Path) -> dict[str, Any]:
    """One file."""
    shown = f"{path.parent.name}/{path.name}"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ResultsError(
            f"{shown}: missing; run `python implementations/run.py --only {path.stem}`, or remove its entry"
        ) from error
    except (OSError, ValueError) as error:
        raise ResultsError(f"{shown}: cannot be read: {error}; run `make implementations` again") from error
    status = data.get("status") if isinstance(data, dict) else None
    if status not in STATUSES:
        raise ResultsError(f"{shown}: status: got {status!r}; allowed are {', '.join(STATUSES)}")
    errors = _validator(STATUSES[status]).iter_errors(data)
    found = sorted(errors, key=lambda error: [str(part) for part in error.absolute_path])
    if found:
        key = ".".join(map(str, found[0].absolute_path))
        message = found[0].message
        short = message if len(message) <= 200 else f"{message[:197]}..."
        raise ResultsError(f"{shown}: {key + ': ' if key else ''}{short}; run `make implementations` again")
    if data["name"] != path.stem:
        raise ResultsError(f"{shown}: name: got {data['name']!r}; it is the name of the file, {path.stem!r}")
    return dict(data)


def write(data: Mapping[str, Any], place: Path = PLACE) -> Path:
    """One file, whole or not at all; the same data give the same bytes."""
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{data['name']}.json"
    text = json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with tempfile.NamedTemporaryFile("w", dir=place, suffix=".writing", delete=False, encoding="utf-8") as file:
        file.write(text + "\n")
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
    return path


@cache
def _validator(kind: str) -> Any:
    from jsonschema import Draft202012Validator

    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return Draft202012Validator({"$defs": schema["$defs"], "$ref": f"#/$defs/{kind}"})
