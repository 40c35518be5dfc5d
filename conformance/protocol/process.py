"""One program under test: started, asked line by line within bounds of time and memory, ended with all it started."""

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

from focal_ref.conformance.protocol.text import safe_text
from focal_ref.conformance.targets import TargetFault

SUPERVISOR = Path(__file__).with_name("supervisor.py")
CHUNK = 1 << 16
STDERR_KEPT = 4096
"""Bytes of standard error that are kept: the last ones."""
STDERR_SHOWN = 160
"""Characters of it that stand in a message."""
FAREWELL = 5.0
"""Seconds for what has to end: a program after `stop`, a supervisor after its program."""


class Process:
    """A program that answers one line for one line.

    Parameters
    ----------
    command
        The program and its arguments; no shell.
    time_limit
        Seconds for one answer.
    """

    def __init__(self, command: Sequence[str], time_limit: float) -> None:
        self._time_limit = time_limit
        self._output = bytearray()
        self._errors = bytearray()
        self._news = bytearray()
        control, self._control = os.pipe()
        self._status, status = os.pipe()
        try:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-I", "-S", str(SUPERVISOR), str(control), str(status), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(control, status),
                start_new_session=True,
                bufsize=0,
            )
        finally:
            os.close(control)
            os.close(status)
        streams = (self._supervisor.stdin, self._supervisor.stdout, self._supervisor.stderr)
        self._stdin, self._stdout, self._stderr = (cast(IO[bytes], stream) for stream in streams)
        for descriptor in (self._stdin.fileno(), self._stdout.fileno(), self._stderr.fileno(), self._status):
            os.set_blocking(descriptor, False)
        # Also where the interpreter ends without a word.
        self._end = weakref.finalize(self, _end, self._supervisor, self._control, self._status, self._news)

    @property
    def stderr(self) -> str:
        """The end of what the program wrote to standard error, on one line."""
        return safe_text(bytes(self._errors).decode("utf-8", "backslashreplace").strip(), STDERR_KEPT)

    def ask(self, line: bytes, largest: int) -> bytes:
        """Send a line and wait for the one that answers it.

        Parameters
        ----------
        line
            Without its end.
        largest
            Bytes that an answer may have.

        Raises
        ------
        TargetFault
            If no line comes in time, the program ends, or more than a line comes. It has to be started anew then.
        """
        try:
            return self._ask(line, largest)
        except BaseException:
            # Whatever it was, an answer may still be on its way: it must not be taken for the next one.
            self.kill()
            raise

    def stop(self, line: bytes) -> str:
        """Say goodbye and wait; a sentence about a program that does not end or leaves processes behind, or ""."""
        if not self._end.alive:
            return ""
        with contextlib.suppress(OSError):
            self._stdin.write(line + b"\n")
        with contextlib.suppress(OSError):
            self._stdin.close()
        ended = self._wait_for_end(time.monotonic() + min(FAREWELL, self._time_limit))
        self.kill()
        if not ended:
            return "did not end after stop; it was ended"
        return self._left_behind()

    def kill(self) -> None:
        """End the program and all that it started, now."""
        self._end()
        for stream in (self._stdin, self._stdout, self._stderr):
            with contextlib.suppress(OSError):
                stream.close()

    def _ask(self, line: bytes, largest: int) -> bytes:
        self._read_output(largest)
        if self._output:
            raise TargetFault("garbage", f"wrote more than one line for an answer: {_excerpt(self._output)}")
        deadline = time.monotonic() + self._time_limit
        unsent = memoryview(line + b"\n")
        with selectors.DefaultSelector() as selector:
            selector.register(self._stdin, selectors.EVENT_WRITE)
            for readable in (self._stdout, self._stderr, self._status):
                selector.register(readable, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select(max(0.0, deadline - time.monotonic()))}
                if not ready:
                    raise TargetFault("hang", f"gave no answer within {self._time_limit:g} s{self._said()}")
                if self._stdin in ready:
                    unsent = self._write(unsent)
                    if not unsent:
                        selector.unregister(self._stdin)
                if self._stderr in ready and not self._read_errors():
                    selector.unregister(self._stderr)
                if self._stdout in ready and not self._read_output(largest):
                    self._closed(deadline)
                if b"\n" in self._output:
                    answer, _, rest = bytes(self._output).partition(b"\n")
                    self._output = bytearray(rest)
                    return answer
                if self._status in ready:
                    if not self._read_status() and not self._is_over():
                        raise TargetFault("crash", "was lost together with its supervisor")
                    if self._is_over():
                        # What it wrote before it ended still counts.
                        self._read_output(largest)
                        if b"\n" not in self._output:
                            self._crashed()

    def _write(self, unsent: memoryview) -> memoryview:
        try:
            return unsent[self._stdin.write(unsent[:CHUNK]) or 0 :]
        except BlockingIOError:
            return unsent
        except BrokenPipeError:
            # It reads no more; whether it ended or hangs, the other streams tell.
            return unsent[:0]

    def _read_output(self, largest: int) -> bool:
        """Take what there is of standard output; False at its end."""
        while True:
            try:
                chunk = self._stdout.read(CHUNK)
            except ValueError:
                return False
            if chunk is None:
                return True
            if not chunk:
                return False
            self._output += chunk
            if len(self._output) > largest:
                raise TargetFault("garbage", f"wrote a line of more than {largest} bytes: {_excerpt(self._output)}")
            if b"\n" in chunk:
                return True

    def _read_errors(self) -> bool:
        """Take what there is of standard error and keep its end; False where it is closed."""
        while True:
            chunk = self._stderr.read(CHUNK)
            if chunk is None:
                return True
            if not chunk:
                return False
            self._errors = (self._errors + chunk)[-STDERR_KEPT:]
            if len(chunk) < CHUNK:
                return True

    def _read_status(self) -> bool:
        """Take what the supervisor says; False where it is gone."""
        try:
            chunk = os.read(self._status, CHUNK)
        except BlockingIOError:
            return True
        self._news += chunk
        return bool(chunk)

    def _is_over(self) -> bool:
        return b"ended " in self._news or b"failed " in self._news

    def _wait_for_end(self, deadline: float) -> bool:
        """Whether the program ends in time; what it writes meanwhile is dropped."""
        with selectors.DefaultSelector() as selector:
            for readable in (self._stdout, self._stderr, self._status):
                selector.register(readable, selectors.EVENT_READ)
            while not self._is_over():
                ready = {key.fileobj for key, _ in selector.select(max(0.0, deadline - time.monotonic()))}
                if time.monotonic() > deadline:
                    return False
                if self._status in ready and not self._read_status():
                    return self._is_over()
                if self._stdout in ready and not self._stdout.read(CHUNK):
                    selector.unregister(self._stdout)
                if self._stderr in ready and not self._read_errors():
                    selector.unregister(self._stderr)
        return True

    def _closed(self, deadline: float) -> None:
        """Standard output is closed: the program ends, or will never answer again."""
        if b"\n" in self._output:
            return
        if self._wait_for_end(min(deadline, time.monotonic() + FAREWELL)):
            self._crashed()
        raise TargetFault("crash", f"closed its standard output and goes on running{self._said()}")

    def _crashed(self) -> None:
        with contextlib.suppress(ValueError):
            self._read_errors()
        kind, _, detail = self._news.decode("utf-8", "replace").strip().rpartition("\n")[2].partition(" ")
        if kind == "failed":
            raise TargetFault("start", f"cannot be started: {safe_text(detail)}")
        code = int(detail.split()[0])
        what = f"signal {_signal_name(-code)}" if code < 0 else f"exit code {code}"
        left = self._left_behind()
        raise TargetFault(
            "crash", f"ended with {what} before it answered{self._said()}{f'; it {left}' if left else ''}"
        )

    def _left_behind(self) -> str:
        left = int(self._news.split()[-1])
        return f"left {left} process{'es' * (left != 1)} behind; ended" if left else ""

    def _said(self) -> str:
        """The end of standard error, for a message."""
        text = self.stderr
        if not text:
            return "; standard error is empty"
        return f"; standard error ends: {'...' * (len(text) > STDERR_SHOWN)}{text[-STDERR_SHOWN:]}"


def _excerpt(output: bytes | bytearray) -> str:
    return safe_text(bytes(output[:400]).decode("utf-8", "backslashreplace"), 80)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _end(supervisor: subprocess.Popen[bytes], control: int, status: int, news: bytearray) -> None:
    """Close the pipe by which the supervisor knows that it is over, and wait for it."""
    os.close(control)
    try:
        supervisor.wait(FAREWELL + 2.0)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()
    with contextlib.suppress(BlockingIOError):
        news += os.read(status, CHUNK)
    os.close(status)
    # A supervisor that was killed, by its program perhaps, has ended nothing.
    started = re.match(rb"started (\d+)\n", news)
    if started is not None and b"ended " not in news:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(int(started[1]), signal.SIGKILL)
