"""Files and stores of predictions: finding them, cutting them into parts, and noticing that one has changed."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from focal_ref.scoring.errors import ScoringError, Unreadable
from focal_ref.scoring.options import Options

PARQUET, ZARR = "parquet", "zarr"
ZARR_FILES = ("zarr.json", ".zgroup", ".zmetadata")


@dataclass(frozen=True)
class Source:
    """One Parquet file or Zarr store.

    Attributes
    ----------
    path
        Absolute.
    kind
        "parquet" or "zarr".
    state
        What changes when the content does: sizes, times, and a hash of what describes the content.
    rows
        Of each unit, which is a row group of a Parquet file or a chunk of rows of a Zarr store.
    error
        Why nothing of it can be read, or None.
    """

    path: str
    kind: str
    state: str
    rows: tuple[int, ...]
    error: str | None = None

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "path": self.path,
            "kind": self.kind,
            "state": self.state,
            "rows": sum(self.rows),
            "units": len(self.rows),
            "error": self.error,
        }


@dataclass(frozen=True)
class Unit:
    """A row group of a Parquet file, or a chunk of rows of a Zarr store."""

    number: int
    first: int
    rows: int


@dataclass(frozen=True)
class Part:
    """Consecutive units of one source: what is scored by one worker, and finished or not as a whole."""

    index: int
    source: Source
    units: tuple[Unit, ...]

    @property
    def rows(self) -> int:
        """As the source says, readable or not."""
        return sum(unit.rows for unit in self.units)


def found(inputs: Sequence[str | os.PathLike[str]]) -> list[tuple[str, str]]:
    """Absolute path and kind of every file and store, in the order of the arguments, those of a folder sorted.

    Raises
    ------
    ScoringError
        For a path that is not there, a folder without Parquet files, and what is named twice.
    """
    if not inputs:
        raise ScoringError("inputs: got none; name Parquet files, folders of them, or Zarr stores")
    paths: list[tuple[str, str]] = []
    for given in inputs:
        path = Path(os.path.abspath(given))
        if not path.exists():
            raise ScoringError(f"inputs: {given} does not exist; name Parquet files, folders of them, or Zarr stores")
        if path.is_file():
            paths.append((str(path), PARQUET))
        elif any((path / name).exists() for name in ZARR_FILES):
            paths.append((str(path), ZARR))
        else:
            files = sorted(str(file) for file in path.rglob("*.parquet") if file.is_file())
            if not files:
                raise ScoringError(f"inputs: {given} is a folder without *.parquet files, and no Zarr store")
            paths += [(file, PARQUET) for file in files]
    real: dict[str, str] = {}
    for path_text, _ in paths:
        other = real.setdefault(os.path.realpath(path_text), path_text)
        if other is not path_text:
            raise ScoringError(f"inputs: {path_text} is named twice (as {other}); its rows would count twice")
    return paths


def inspected(paths: Sequence[tuple[str, str]], options: Options) -> tuple[list[Source], Options]:
    """All sources, checked against the options, and the options with the number of classes."""
    sources = []
    types: dict[str, str] = {}
    for path, kind in paths:
        module = _module(kind)
        state = module.state(path)
        try:
            units, options = module.inspect(path, options, types)
        except Unreadable as error:
            sources.append(Source(path, kind, state, (), str(error)))
        else:
            sources.append(Source(path, kind, state, tuple(units)))
    return sources, options


def cut(sources: Sequence[Source], options: Options) -> Iterator[Part]:
    """The parts of a run; a source that cannot be read is one without units."""
    index = 0
    for source in sources:
        units: list[Unit] = []
        first = 0
        # A part goes to a worker, which needs to know of its own rows alone.
        own = replace(source, rows=())
        for number, rows in enumerate(source.rows):
            units.append(Unit(number, first, rows))
            first += rows
            if first - units[0].first >= options.rows_a_part:
                yield Part(index, own, tuple(units))
                index, units = index + 1, []
        if units or not source.rows:
            yield Part(index, own, tuple(units))
            index += 1


def check_unchanged(source: Source) -> None:
    """Raise if a source is not what it was when the run was planned."""
    try:
        now = _module(source.kind).state(source.path)
    except OSError as error:
        raise ScoringError(f"inputs: {source.path} was there when the run began: {error}") from error
    if now != source.state:
        raise ScoringError(
            f"inputs: {source.path} changed while it was scored: {source.state}, now {now}; score it again with a new "
            "results directory"
        )


def batches(source: Source, unit: Unit, options: Options) -> Any:
    """An iterator of a unit's `Batch`es; `Unreadable` if its bytes are damaged."""
    return _module(source.kind).batches(source.path, unit, options)


def _module(kind: str) -> Any:
    """What reads one kind. Imported on use: each needs a library of its own."""
    try:
        if kind == ZARR:
            from focal_ref.scoring import zarr_stores

            return zarr_stores
        from focal_ref.scoring import parquet_files

        return parquet_files
    except ImportError as error:
        raise ScoringError(f"inputs: {kind} cannot be read: {error}; pip install 'focal-ref[dask]'") from error
