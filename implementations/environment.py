"""Builds the environments: a virtual environment for each list of pins, with focal-ref from this checkout inside.

``environments/NAME.txt`` is installed with all that it needs, ``environments/NAME-no-deps.txt`` without; what the
suite itself needs is pinned by ``environments/suite.txt``. An environment is held by a lock while it is built, and by
a shared one while something runs in it, so that several runs of run.py do not get into each other's way.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from catalogue import FOLDER, ROOT

PLACE = ROOT / ".venv-implementations"
PINS = FOLDER / "environments"
SHIMS = FOLDER / "shims"
SOURCES = ("focal_ref", "adapters", "conformance", "pyproject.toml", "README.md", "LICENSE")
"""What the wheel of focal-ref is made from."""

START_UP = "implementations_shims.pth"
BUILT = "built.json"
UNPINNED = ("pip", "focal-ref")

Runner = Callable[[list[str]], tuple[int, str]]
"""Runs a command to its end; its exit code and its output."""


class EnvironmentFailure(Exception):
    """An environment that cannot be built; one line of reason."""


def python_of(name: str) -> Path:
    """The interpreter of an environment."""
    return PLACE / name / "bin" / "python"


def script_of(name: str) -> Path:
    """The command ``focal-ref`` of an environment."""
    return PLACE / name / "bin" / "focal-ref"


def any_python(name: str) -> Path:
    """The interpreter of an environment; where it is not built, the one that runs this."""
    return python_of(name) if (PLACE / name / BUILT).is_file() else Path(sys.executable)


@contextmanager
def in_use(name: str) -> Iterator[None]:
    """Keep an environment from being built anew while something runs in it."""
    with _locked(name, fcntl.LOCK_SH):
        yield


def build(name: str, *, keep: bool, run: Runner) -> list[str]:
    """Build an environment, or bring it up to date.

    Parameters
    ----------
    name
        Of the list of pins.
    keep
        Whether to install into the environment that is there, and nothing at all where nothing has changed.
    run
        Runs a command.

    Returns
    -------
    list
        What is installed and pinned nowhere.

    Raises
    ------
    EnvironmentFailure
        If something cannot be installed.
    """
    with _locked(name, fcntl.LOCK_EX), tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "source"
        sources = _copied(source)
        state = {"python": sys.version.split()[0], "pins": _hash(_pin_files(name), FOLDER), "sources": sources}
        folder = PLACE / name
        before = _state(folder)
        if keep and before == state:
            return []
        (folder / BUILT).unlink(missing_ok=True)
        if not keep or before.get("python") != state["python"]:
            shutil.rmtree(folder, ignore_errors=True)
            _installed(run, [sys.executable, "-m", "venv", str(folder)], name)
        pip = [str(python_of(name)), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
        if before.get("pins") != state["pins"] or not keep:
            wanted = [part for file in ("suite", name) for part in ("-r", str(PINS / f"{file}.txt"))]
            _installed(run, [*pip, *wanted], name)
            alone = PINS / f"{name}-no-deps.txt"
            if alone.is_file():
                _installed(run, [*pip, "--no-deps", "-r", str(alone)], name)
        _installed(run, [*pip, "--no-deps", "--no-build-isolation", "--force-reinstall", str(source)], name)
        _add_shims(folder)
        (folder / BUILT).write_text(json.dumps(state), encoding="utf-8")
        return _unpinned(name, run)


def _state(folder: Path) -> dict[str, str]:
    """What an environment was built from; empty if it was not built to its end."""
    try:
        state: dict[str, str] = json.loads((folder / BUILT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state


def _copied(to: Path) -> str:
    """Copy what the wheel is made from, so that nothing is built inside the checkout; the hash of its contents."""
    to.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        else:
            shutil.copy(source, to / name)
    return _hash(sorted(path for path in to.rglob("*") if path.is_file()), to)


def _hash(paths: list[Path], top: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        contents = path.read_bytes()
        digest.update(f"{path.relative_to(top)}\0{len(contents)}\0".encode() + contents)
    return digest.hexdigest()


def _pin_files(name: str) -> list[Path]:
    files = [PINS / "suite.txt", PINS / f"{name}.txt", PINS / f"{name}-no-deps.txt"]
    return [path for path in files if path.is_file()] + sorted(SHIMS.glob("*.py"))


def _installed(run: Runner, command: list[str], name: str) -> None:
    code, output = run(command)
    if code:
        lines = [line for line in output.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines or [f"exit code {code}"]
        raise EnvironmentFailure(f"environment {name} cannot be built: {errors[-1].strip()[:300]}")


def _add_shims(folder: Path) -> None:
    """Have every interpreter of the environment import the shims at its start."""
    (packages,) = (folder / "lib").glob("python*/site-packages")
    names = []
    for shim in sorted(SHIMS.glob("*.py")):
        shutil.copy(shim, packages / shim.name)
        names.append(shim.stem)
    (packages / START_UP).write_text("".join(f"import {name}\n" for name in names), encoding="utf-8")


def _unpinned(name: str, run: Runner) -> list[str]:
    code, output = run([str(python_of(name)), "-m", "pip", "--disable-pip-version-check", "list", "--format=freeze"])
    if code:
        return []
    text = "\n".join(path.read_text(encoding="utf-8") for path in _pin_files(name) if path.suffix == ".txt")
    pinned = {_canonical(line) for line in text.splitlines()}
    found = [line for line in output.splitlines() if "==" in line]
    return [line for line in found if _canonical(line) not in (*pinned, *UNPINNED)]


def _canonical(requirement: str) -> str:
    """The name in a requirement, as registries compare names."""
    return re.sub(r"[-_.]+", "-", requirement.partition("==")[0].partition("[")[0].strip()).lower()


@contextmanager
def _locked(name: str, kind: int) -> Iterator[None]:
    """Hold an environment's lock; who waits for it goes before who comes later, also where those could share it."""
    PLACE.mkdir(exist_ok=True)
    with open(PLACE / f"{name}.lock", "w", encoding="utf-8") as lock:
        with open(PLACE / f"{name}.next.lock", "w", encoding="utf-8") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            fcntl.flock(lock, kind)
        yield


def variables(jobs: int) -> dict[str, str]:
    """Environment variables of what runs in an environment: the caller's, without those that would change it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "KERAS"))}
    build_folder = ROOT / "build" / "implementations"
    home = build_folder / "home"
    home.mkdir(parents=True, exist_ok=True)
    return kept | {
        "PYTHONPATH": str(FOLDER),
        "PYTHONNOUSERSITE": "1",
        # Packages write settings and caches while they are imported.
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "NUMBA_CACHE_DIR": str(build_folder / "numba"),
        "JAX_COMPILATION_CACHE_DIR": str(build_folder / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs)),
    }
