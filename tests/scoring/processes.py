"""Runs of the command in processes of their own, to be killed."""

import os
import signal
import subprocess
import sys
import time

COMMAND = [sys.executable, "-c", "from focal_ref.conformance.cli import main; main()", "score"]
PATIENCE = 120


def started(*arguments, **further):
    """The command, running."""
    return subprocess.Popen([*COMMAND, *map(str, arguments)], text=True, **further)


def finished(*arguments, **further):
    """The command, done."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE, check=False, **further
    )


def parts(results):
    """Finished parts and when each was written."""
    folder = results / "parts"
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json")} if folder.exists() else {}


def wait_for_parts(results, count, process):
    """Wait until so many parts are finished, or the process is."""
    end = time.monotonic() + PATIENCE
    while len(parts(results)) < count and process.poll() is None and time.monotonic() < end:
        time.sleep(0.001)


def kill(process):
    """End a process without a chance to clean up."""
    os.kill(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)
