"""The record of a run: what was tried, what survived, and what became of the survivors."""

import datetime
import json
import platform
import subprocess
import tomllib
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MODULES = HERE / "modules.toml"
EQUIVALENT = HERE / "equivalent.toml"
RESULTS = ROOT / "benchmarks" / "results" / "mutation.json"
TOOLS = ("cosmic-ray", "numpy", "numba", "pytest")


@dataclass
class Survivor:
    """A mutant that no test found in the first run.

    Attributes
    ----------
    line, operator, was, became
        The change: line of the file in the commit of the run, cosmic-ray's operator, the line before and after.
    closed_by
        The test that finds it now; "" if none does.
    """

    line: int
    operator: str
    was: str
    became: str
    closed_by: str = ""


@dataclass
class Module:
    """What became of the mutants of one file of a commit; seconds are those of the processor."""

    tests: list[str]
    mutants: int
    tried: int
    killed: int = 0
    timed_out: int = 0
    seconds: int = 0
    survivors: list[Survivor] = field(default_factory=list)
    commit: str = ""


@dataclass
class Results:
    """Everything of a run."""

    run: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, Module] = field(default_factory=dict)

    def describe(self, seed: int, share: float, *, keep: bool) -> None:
        """Say what was run, unless survivors are only tried again."""
        if keep:
            self.run["tried_again"] = str(datetime.date.today())
            return
        self.run = {
            "date": str(datetime.date.today()),
            "commit": _commit(),
            "python": platform.python_version(),
            "versions": {name: version(name) for name in TOOLS},
            "seed": seed,
            "share": share,
        }


def load_modules() -> dict[str, list[str]]:
    """The tests that are run on the mutants of each file."""
    return {module["file"]: module["tests"] for module in tomllib.loads(MODULES.read_text())["module"]}


@cache
def load_equivalent() -> dict[tuple[str, str, str], str]:
    """Why a mutant is no fault, by its file and its line before and after."""
    read = tomllib.loads(EQUIVALENT.read_text()).get("equivalent", [])
    return {(one["file"], one["was"], one["became"]): one["reason"] for one in read}


def load(path: Path) -> Results:
    """Read a record."""
    if not path.exists():
        return Results()
    data = json.loads(path.read_text())
    modules = {}
    for file, module in data["modules"].items():
        survivors = [Survivor(**survivor) for survivor in module.pop("survivors")]
        modules[file] = Module(**module, survivors=survivors)
    return Results(data["run"], modules)


def save(results: Results, path: Path) -> None:
    """Write a record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(results), indent=1, ensure_ascii=False) + "\n")


def reason_of(file: str, survivor: Survivor) -> str:
    """Why a survivor is no fault, "" if that is not known."""
    return load_equivalent().get((file, survivor.was, survivor.became), "")


def unexplained(results: Results) -> list[tuple[str, Survivor]]:
    """Survivors that no test finds and that have no reason."""
    return [
        (file, survivor)
        for file, module in results.modules.items()
        for survivor in module.survivors
        if not survivor.closed_by and not reason_of(file, survivor)
    ]


def stale(results: Results) -> list[tuple[str, str, str]]:
    """Reasons for what did not survive."""
    survived = {
        (file, survivor.was, survivor.became)
        for file, module in results.modules.items()
        for survivor in module.survivors
        if not survivor.closed_by
    }
    return [key for key in load_equivalent() if key not in survived]


def _commit() -> str:
    asked = subprocess.run(["git", "rev-parse", "--short=10", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return asked.stdout.strip()
