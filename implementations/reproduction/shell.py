"""Runs lines as a reader would who pastes them into a shell."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import forked

LIMIT = 300
"""Seconds for a line."""

MAXIMUM = 1000
"""Characters that are kept of an output."""

_PYTHON = "python -c "

_NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:nan|inf(?:inity)?|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)(?![\w.])", re.IGNORECASE
)


@dataclass(frozen=True)
class Printed:
    """What a line came to.

    Attributes
    ----------
    code
        Exit code; None if it did not come to its end.
    output
        What it printed last, of a command of the suite all; of one that failed the last line of its errors.
    """

    code: int | None
    output: str

    @property
    def numbers(self) -> list[float]:
        """Every number in the output, in order."""
        return [float(text) for text in _NUMBER.findall(self.output)]


def run(line: str, folder: Path, python: Path = Path(sys.executable)) -> Printed:
    """Run a line by bash, where `python` is this interpreter."""
    try:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=folder,
            env=variables(python),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Printed(None, f"not at its end after {LIMIT} seconds")
    return printed_of(line, done.returncode, done.stdout, done.stderr)


def run_all(lines: Sequence[str], folder: Path) -> dict[str, Printed]:
    """Run the first line by bash, and the others as `python -c` would, with their imports done once."""
    first = next((line for line in lines if _PYTHON in line), None)
    results = {} if first is None else {first: run(first, folder)}
    others = [line for line in lines if line != first]
    results |= {line: printed_of(line, *found) for line, found in forked.run(others, folder, variables()).items()}
    # What does not end in a forked interpreter may do so in one of its own.
    return results | {line: run(line, folder) for line in others if line not in results}


def variables(python: Path = Path(sys.executable)) -> dict[str, str]:
    """Environment variables of a reader who has activated the environment of an interpreter."""
    found = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "KERAS"))}
    # Not resolved: the link is what makes it the interpreter of a virtual environment.
    found["PATH"] = os.pathsep.join([str(python.parent), found.get("PATH", os.defpath)])
    return found


def printed_of(line: str, code: int | None, output: str, errors: str) -> Printed:
    """What is kept of an output.

    A line that is Python prints in its last statement, one line; whatever packages print when they are imported comes
    before that, and is left out. If it failed, that is the last line of its errors.
    """
    printed = output.strip()
    python = _PYTHON in line
    if python:
        printed = printed.rpartition("\n")[2]
    if code:
        lines = [text.strip() for text in errors.splitlines() if text.strip()]
        error = lines[-1] if lines else f"exit code {code}"
        printed = error if python or not printed else f"{printed}\n{error}"
    return Printed(code, printed if len(printed) <= MAXIMUM else printed[:MAXIMUM] + " ...")
