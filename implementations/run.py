"""Runs the suite on public implementations, each in an environment of its own release.

    python implementations/run.py                             build every environment, run everything
    python implementations/run.py --only timm_asl --keep      one, in the environment as it is or brought up to date

Of each entry of catalogue.toml it writes build/implementations/NAME.jsonl, the record of its run, or, where the run
did not come to its end, build/implementations/NAME.failure.json with the reason; then condense.py makes
results/NAME.json of the one that is there. Exit code 0: every entry was run, whatever was found; 1: some could not be
run, or their results could not be written; 2: interrupted; 4: usage.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

import environment
from catalogue import FOLDER, ROOT, Catalogue, CatalogueError, Implementation, load
from environment import EnvironmentFailure

PLACE = ROOT / "build" / "implementations"
TIME_LIMIT = 1800
BUILD_TIME_LIMIT = 3600
CONDENSE_TIME_LIMIT = 3600
JOBS = 2

DONE, NOT_RUN, INTERRUPTED, USAGE = 0, 1, 2, 4
VERDICTS = (0, 1)
"""Exit codes of ``focal-ref conform`` with which a run has come to its end: conformant, or not."""


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes
    ----------
    code
        Its exit code; below 0 the signal that killed it.
    output
        What it printed, on both streams.
    timed_out
        Whether it was killed at its time limit.
    """

    code: int
    output: str
    timed_out: bool = False


@dataclass(frozen=True)
class Failure:
    """Why an entry has no record.

    Attributes
    ----------
    outcome
        "no environment", "not started", "timed out", "crashed" or "no verdict".
    reason
        One line.
    exit_code
        Of the run, or None where there was none.
    """

    outcome: str
    reason: str
    exit_code: int | None = None


class Processes:
    """The processes that are running, so that all of them end with this one."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.RLock()  # a signal may come while it is held
        self.ended = False

    def run(self, command: Sequence[str], *, variables: dict[str, str], limit: float, log: Path | None = None) -> Ended:
        """Run a command from the top of the checkout, in a process group of its own, for at most `limit` seconds."""
        with self._lock:
            if self.ended:
                raise KeyboardInterrupt
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(process)
        timed_out = False
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            timed_out = True
            _kill(process)
            output, _ = process.communicate()
        finally:
            # Processes that it left behind end with it.
            _kill(process)
            with self._lock:
                self._running.discard(process)
        if self.ended:
            raise KeyboardInterrupt
        if log is not None:
            _write(log, output)
        return Ended(process.returncode, output, timed_out)

    def end(self) -> None:
        """Kill all that is running; nothing is started any more."""
        with self._lock:
            self.ended = True
            for process in self._running:
                _kill(process)


def _kill(process: "subprocess.Popen[str]") -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _write(path: Path, text: str) -> None:
    """A file as a whole, or as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def conform_command(entry: Implementation, folder: Path) -> list[str]:
    """The command that runs one implementation."""
    target = [f"--target={entry.target}"] if entry.target else []
    return [
        str(environment.script_of(entry.environment)),
        "conform",
        *target,
        f"--profile={entry.profile_option}",
        f"--report-dir={folder}",
    ]


def run_entry(entry: Implementation, processes: Processes, limit: float, jobs: int) -> Failure | str:
    """Run one implementation and put its record in its place.

    Returns
    -------
    Failure or str
        Why there is no record, or the verdict.
    """
    folder = PLACE / "reports" / entry.name
    for old in folder.glob("*") if folder.is_dir() else ():
        if old.is_file():
            old.unlink()
    limit = entry.time_limit or limit
    command, variables = conform_command(entry, folder), environment.variables(jobs)
    try:
        ended = processes.run(command, variables=variables, limit=limit, log=PLACE / "logs" / f"{entry.name}.log")
    except OSError as error:
        return Failure("not started", f"{command[0]}: {error.strerror}")
    failure = failure_of(ended, limit)
    if failure is not None:
        return failure
    records = sorted(folder.glob("*.jsonl"))
    if len(records) != 1:
        return Failure("no verdict", f"the run ended with {ended.code} and left {len(records)} records", ended.code)
    text = records[0].read_text(encoding="utf-8")
    verdict = json.loads(text.splitlines()[-1])
    (PLACE / f"{entry.name}.failure.json").unlink(missing_ok=True)
    _write(PLACE / f"{entry.name}.jsonl", text)
    return str(verdict["reason"])


def failure_of(ended: Ended, limit: float) -> Failure | None:
    """Why a run has no verdict; None if it has one."""
    if ended.timed_out:
        return Failure("timed out", f"no verdict within {limit:g} s", None)
    if ended.code in VERDICTS:
        return None
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    # What the suite says of itself, else the last that was printed.
    told = [line for line in lines if line.startswith(("verdict:", "focal-ref:", "ERROR:", "error:"))] or lines or [""]
    last = f": {told[-1][:400]}" if told[-1] else ""
    if ended.code < 0:
        return Failure("crashed", f"killed by {signal.Signals(-ended.code).name}{last}", ended.code)
    outcome = "not started" if ended.code == 4 else "no verdict" if 2 <= ended.code <= 8 else "crashed"
    return Failure(outcome, f"exit code {ended.code}{last}", ended.code)


def note_failure(entry: Implementation, failure: Failure) -> None:
    """Write why an entry has no record, in the place of its record."""
    about = {
        "name": entry.name,
        "outcome": failure.outcome,
        "exit_code": failure.exit_code,
        "reason": failure.reason,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    (PLACE / f"{entry.name}.jsonl").unlink(missing_ok=True)
    _write(PLACE / f"{entry.name}.failure.json", json.dumps(about, indent=2) + "\n")


def condense(entry: Implementation, processes: Processes, jobs: int) -> str:
    """Make the entry's result of its record, or of its failure; what went wrong, or ""."""
    python = environment.any_python(entry.environment)
    command = [str(python), str(FOLDER / "condense.py"), entry.name]
    log = PLACE / "logs" / f"{entry.name}.condense.log"
    ended = processes.run(command, variables=environment.variables(jobs), limit=CONDENSE_TIME_LIMIT, log=log)
    if ended.timed_out:
        return f"condense.py was not done within {CONDENSE_TIME_LIMIT} s"
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()] or [f"exit code {ended.code}"]
    return f"condense.py: {lines[-1][:400]}" if ended.code else ""


def chosen(catalogue: Catalogue, only: Sequence[str], environments: Sequence[str]) -> list[Implementation]:
    """The entries that the options name; all of them if they name none.

    Raises
    ------
    CatalogueError
        For a name that the catalogue does not have.
    """
    names = {entry.name for entry in catalogue.implementations}
    known = {entry.environment for entry in catalogue.implementations}
    for option, asked, allowed in (("--only", only, names), ("--environment", environments, known)):
        for name in asked:
            if name not in allowed:
                raise CatalogueError(f"{option}: got {name!r}; allowed are {', '.join(sorted(allowed))}")
    return [
        entry
        for entry in catalogue.implementations
        if (not only or entry.name in only) and (not environments or entry.environment in environments)
    ]


def run_all(entries: Sequence[Implementation], arguments: argparse.Namespace, processes: Processes) -> int:
    """Build what is needed, run the entries, and say what came of each."""
    PLACE.mkdir(parents=True, exist_ok=True)
    broken: dict[str, Failure] = {}
    for name in dict.fromkeys(entry.environment for entry in entries):
        _say(f"environment {name}: {'brought up to date' if arguments.keep else 'built anew'}")
        try:
            unpinned = environment.build(name, keep=arguments.keep, run=_pip(processes))
        except EnvironmentFailure as error:
            broken[name] = Failure("no environment", str(error))
            _say(str(error))
        else:
            for line in unpinned:
                _say(f"environment {name}: {line} is installed and pinned nowhere: add it to environments/{name}.txt")

    def one(entry: Implementation) -> tuple[bool, bool]:
        start = time.monotonic()
        with environment.in_use(entry.environment):
            result = broken.get(entry.environment) or run_entry(entry, processes, arguments.time_limit, arguments.jobs)
            failure = result if isinstance(result, Failure) else None
            if failure is not None:
                note_failure(entry, failure)
            wrong = condense(entry, processes, arguments.jobs)
        text = f"NOT RUN, {failure.outcome}: {failure.reason}" if failure is not None else result
        problem = f"; {wrong}" if wrong else ""
        _say(f"{entry.name:<32} {time.monotonic() - start:5.0f} s  {text}{problem}")
        return failure is None, not wrong

    with ThreadPoolExecutor(arguments.jobs) as pool:
        done = list(pool.map(one, entries))
    ran, condensed = (sum(column) for column in zip(*done, strict=True))
    _say(f"{ran} of {len(done)} were run, {condensed} have a result without a problem")
    return DONE if ran == condensed == len(done) else NOT_RUN


def _pip(processes: Processes) -> Callable[[list[str]], tuple[int, str]]:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(command: list[str]) -> tuple[int, str]:
        ended = processes.run(command, variables=variables, limit=BUILD_TIME_LIMIT)
        if ended.timed_out:
            return 1, f"ERROR: not done within {BUILD_TIME_LIMIT} s"
        return ended.code, ended.output

    return run


def _say(text: str) -> None:
    print(text, flush=True)


class UsageError(Exception):
    """Options that cannot be understood."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse ends with 2, which means interrupted here.
        raise UsageError(message)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}; it is a whole number, 1 or more")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = _Parser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", metavar="NAME", action="append", default=[], help="an entry; may be repeated")
    parser.add_argument("--environment", metavar="NAME", action="append", default=[], help="the entries of one")
    parser.add_argument("--jobs", metavar="N", type=_positive, default=JOBS, help=f"runs at once, {JOBS} by default")
    parser.add_argument("--keep", action="store_true", help="bring environments up to date, do not build them anew")
    parser.add_argument(
        "--time-limit", metavar="SECONDS", type=_positive, default=TIME_LIMIT, help=f"of a run, {TIME_LIMIT} by default"
    )
    parser.add_argument("--list", action="store_true", help="print the catalogue, run nothing")
    try:
        options = parser.parse_args(arguments)
        catalogue = load()
        entries = chosen(catalogue, options.only, options.environment)
    except (UsageError, CatalogueError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return USAGE
    if options.list:
        for entry in entries:
            print(f"{entry.name:<32} {entry.environment:<12} {entry.kind:<8} {entry.function}")
        for gone in catalogue.absent:
            print(f"{gone.name:<32} absent: {gone.reason}")
        return DONE
    if not entries:
        print("run.py: --only, --environment: no entry is of both", file=sys.stderr)
        return USAGE
    processes = Processes()

    def stop(number: int, frame: FrameType | None) -> None:
        processes.end()
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        return run_all(entries, options, processes)
    except KeyboardInterrupt:
        processes.end()
        print("run.py: interrupted; what was not done keeps the results that it had", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
