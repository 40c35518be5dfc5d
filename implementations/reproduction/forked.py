"""Runs lines as ``python -c`` would, without the time that it takes to import a framework for each.

One fresh interpreter imports what the lines import and computes nothing; a child of it is forked for each line,
executes the very text that is given to ``python -c``, and prints into files of its own. Started as a program it reads a
JSON list of lines from its standard input and writes a JSON list of what came of them.
"""

import ast
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LIMIT = 60
"""Seconds for a line, without its imports."""

_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A line, taken apart.

    Attributes
    ----------
    variables
        Environment variables before the command.
    code
        What ``python -c`` gets, or "".
    arguments
        What ``focal-ref`` gets, if that is the command.
    pattern
        What ``grep -E`` keeps of its output.
    """

    variables: Mapping[str, str]
    code: str
    arguments: tuple[str, ...] = ()
    pattern: str = ""


def taken_apart(line: str) -> Command | None:
    """The parts of a line; None of one of another form."""
    words = shlex.split(line)
    variables = {}
    while words and _ASSIGNMENT.fullmatch(words[0]):
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    if len(words) == 3 and words[:2] == ["python", "-c"]:
        return Command(variables, words[2])
    if words[:1] == ["focal-ref"] and words[-4:-1] == ["|", "grep", "-E"]:
        return Command(variables, "", tuple(words[1:-4]), words[-1])
    return None


def run(lines: Sequence[str], folder: Path, variables: Mapping[str, str]) -> dict[str, tuple[int | None, str, str]]:
    """Exit code, output and errors of lines; those that could not be run so are left out."""
    groups: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for line in lines:
        command = taken_apart(line)
        if command is not None:
            groups.setdefault(tuple(sorted(command.variables.items())), []).append(line)
    found = {}
    for more, some in groups.items():
        limit = 600 + LIMIT * len(some)
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError):
            done = subprocess.run(
                [sys.executable, str(Path(__file__).resolve())],
                input=json.dumps(some),
                cwd=folder,
                env={**variables, **dict(more)},
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                timeout=limit,
                check=False,
            )
            results = [tuple(one) for one in json.loads(done.stdout.rpartition("\n\n")[2])]
            found.update({line: one for line, one in zip(some, results, strict=True) if one[0] is not None})
    return found


def main() -> None:
    """The program."""
    lines = json.load(sys.stdin)
    commands = [taken_apart(line) for line in lines]
    assert all(commands)
    # The command of a script does not look into the current folder, and an interpreter that was started with -c does:
    # in a checkout there is a focal_ref of another layout.
    del sys.path[0]
    if any(command is not None and not command.code for command in commands):
        import focal_ref.conformance.cli  # noqa: F401 (kept, so that it is the installed one for every child)
    sys.path.insert(0, "")
    for command in commands:
        assert command is not None
        _imported(command)
    results = [_in_a_child(command) for command in commands if command is not None]
    print(f"\n\n{json.dumps(results)}")


def _imported(command: Command) -> None:
    """Import what a line imports first; what fails does so in the child again."""
    body = ast.parse(command.code).body if command.code else ast.parse("import focal_ref.conformance.cli").body
    for statement in body:
        if not isinstance(statement, ast.Import | ast.ImportFrom):
            return
        with contextlib.suppress(Exception):
            exec(compile(ast.Module([statement], []), "<string>", "exec"), {})


def _in_a_child(command: Command) -> tuple[int | None, str, str]:
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            _executed(command, output.fileno(), errors.fileno())
        code = _waited(child)
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    if command.pattern:
        kept = [line for line in texts[0].splitlines() if re.search(command.pattern, line)]
        # The exit code of a pipe is that of its last command.
        return (None if code is None else int(not kept)), "\n".join(kept), texts[1]
    return code, texts[0], texts[1]


def _executed(command: Command, output: int, errors: int) -> None:
    """Be the interpreter of one line, and end."""
    code = 1
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(errors, 2)
        sys.argv = ["-c"]
        if command.code:
            names: dict[str, Any] = {"__name__": "__main__"}
            exec(compile(command.code, "<string>", "exec"), names)
        else:
            from focal_ref.conformance.cli import main as focal_ref

            sys.argv = ["focal-ref", *command.arguments]
            focal_ref()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _waited(child: int) -> int | None:
    """The exit code of a child; None if it was killed at its time limit, or by a signal."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else None
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


if __name__ == "__main__":
    main()
