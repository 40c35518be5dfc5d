"""What catalogue.toml says: the implementations that are run, and those that cannot be installed."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
FILE = FOLDER / "catalogue.toml"
SHIPPED = ROOT / "conformance" / "profiles"
KINDS = ("loss", "boosting", "matcher", "coder", "iou")


class CatalogueError(Exception):
    """A catalogue that cannot be used; the text names file, entry, key, value and what is allowed."""


@dataclass(frozen=True)
class Implementation:
    """One public function.

    Attributes
    ----------
    name
        Of the entry and of all files made from it.
    distribution
        What is installed, as its registry calls it.
    function
        What a user imports, as ``package.module:name``.
    environment
        The name of a list of pins under environments/.
    profile
        A file under profiles/, or the name of a profile that comes with the suite.
    kind
        One of `KINDS`.
    note
        Facts that its profile cannot say, or that its run showed.
    target
        Given to ``focal-ref conform --target`` where another function than the profile's is run, or "".
    time_limit
        In seconds, for its run; None for the default of run.py.
    """

    name: str
    distribution: str
    function: str
    environment: str
    profile: str
    kind: str
    note: str = ""
    target: str = ""
    time_limit: int | None = None

    @property
    def profile_option(self) -> str:
        """What ``focal-ref conform --profile`` is given, seen from the top of the checkout."""
        return f"{FOLDER.name}/profiles/{self.profile}" if self.profile.endswith(".toml") else self.profile


@dataclass(frozen=True)
class Absent:
    """An implementation that is not run.

    Attributes
    ----------
    name
        What it is called.
    reason
        The version that was tried, and the error or fact.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """Everything that catalogue.toml lists, in its order."""

    implementations: tuple[Implementation, ...]
    absent: tuple[Absent, ...]


def load(path: Path = FILE) -> Catalogue:
    """The catalogue.

    Raises
    ------
    CatalogueError
        If an entry is not complete, is there twice, or names a file that is missing.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CatalogueError(f"{path.name}: cannot be read: {error}") from error
    for key in document:
        if key not in ("implementation", "absent"):
            raise CatalogueError(f"{path.name}: got [[{key}]]; allowed are [[implementation]], [[absent]]")
    tables = document.get("implementation", [])
    implementations = tuple(_entry(Implementation, table, f"{path.name}: [[implementation]]") for table in tables)
    absent = tuple(_entry(Absent, table, f"{path.name}: [[absent]]") for table in document.get("absent", []))
    _each_once([entry.name for entry in (*implementations, *absent)], path.name)
    for entry in implementations:
        _check(entry, f"{path.name}: {entry.name}")
    return Catalogue(implementations, absent)


def _entry(kind: type[Any], table: Mapping[str, Any], place: str) -> Any:
    name = table.get("name")
    place = f"{place} {name}" if isinstance(name, str) else place
    known = {field.name: field for field in fields(kind)}
    for key, value in table.items():
        if key not in known:
            raise CatalogueError(f"{place}: {key}: unknown; allowed are {', '.join(known)}")
        wanted: type = int if key == "time_limit" else str
        if type(value) is not wanted:
            raise CatalogueError(f"{place}: {key}: got {value!r}; it is {'a text' if wanted is str else 'in seconds'}")
    for key in known:
        if key not in table and key not in ("note", "target", "time_limit"):
            raise CatalogueError(f"{place}: {key}: not given")
    return kind(**table)


def _each_once(names: Iterable[str], file: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise CatalogueError(f"{file}: name: {name!r} is there twice; each entry has a name of its own")
        seen.add(name)


def _check(entry: Implementation, place: str) -> None:
    if not entry.name.replace("_", "").replace("-", "").isalnum():
        raise CatalogueError(f"{place}: name: got {entry.name!r}; letters, digits, - and _, as it names files")
    if entry.kind not in KINDS:
        raise CatalogueError(f"{place}: kind: got {entry.kind!r}; allowed are {', '.join(KINDS)}")
    if not all(entry.function.partition(":")):
        raise CatalogueError(f"{place}: function: got {entry.function!r}; it is package.module:name")
    if not (FOLDER / "environments" / f"{entry.environment}.txt").is_file():
        raise CatalogueError(
            f"{place}: environment: got {entry.environment!r}; there is no environments/{entry.environment}.txt"
        )
    own = entry.profile.endswith(".toml")
    if not (FOLDER / "profiles" / entry.profile if own else SHIPPED / f"{entry.profile}.toml").is_file():
        raise CatalogueError(
            f"{place}: profile: got {entry.profile!r}; it is a file under profiles/ or the name of a shipped profile"
        )
