"""Runs one program and ends everything that it started: ``python -I -S supervisor.py CONTROL STATUS PROGRAM...``.

A process of its own between the suite and the program. It ends the program and all its descendants when the suite says
so, when the program ends, and when the suite dies in whatever way, because then the pipe CONTROL closes. On STATUS it
writes lines: "started PID", and at the end "ended CODE LEFT" (the code as in `subprocess`, and how many processes the
program left behind), or "failed TEXT" for one that cannot be started. It imports the standard library alone, so that
it starts quickly.
"""

import contextlib
import os
import select
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 5.0
"""Seconds in which processes that fork faster than they can be ended are hunted."""


def main() -> None:
    """Run the program of the command line."""
    control, status, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    for descriptor in (control, status):
        os.set_inheritable(descriptor, False)
    adopt_orphans()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        # A group of its own, and the signals that Python ignores as programs know them.
        program = os.posix_spawnp(
            command[0], command, os.environ, setpgroup=0, setsigdef=[signal.SIGPIPE, signal.SIGXFSZ]
        )
    except OSError as error:
        os.write(status, f"failed {error.strerror}\n".encode())
        return
    os.write(status, f"started {program}\n".encode())
    # The program's streams close when it closes them.
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    code = None
    while code is None:
        ready, _, _ = select.select([control, woken], [], [])
        if control in ready:
            break
        os.read(woken, 4096)
        code = reap(program)
    left = end_descendants(program, ended=code is not None)
    if code is None:
        code = reap(program)
    # Nobody may be there to read it.
    with contextlib.suppress(OSError):
        os.write(status, f"ended {-signal.SIGKILL if code is None else code} {left}\n".encode())


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that none gets away (Linux)."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap(program: int) -> int | None:
    """Take leave of children that ended; the program's exit code if it is among them."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == program:
                code = os.waitstatus_to_exitcode(status)
                # Its descendants are counted before they are reaped.
                break
    return code


def end_descendants(program: int, *, ended: bool) -> int:
    """End whatever is left of the program; how many processes that were, the program itself not counted."""
    seen: set[int] = set()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        alive = descendants(os.getpid())
        if alive is None:
            return end_group(program, ended=ended)
        if not alive:
            break
        seen |= alive
        for pid in alive:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    return len(seen - {program})


def end_group(program: int, *, ended: bool) -> int:
    """Where processes cannot be listed: end the program's group; 1 if it outlived the program."""
    try:
        os.killpg(program, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return 0
    return int(ended)


def descendants(root: int) -> set[int] | None:
    """Living processes below one, by /proc; None where there is none."""
    if not os.path.isdir("/proc/self"):
        return None
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                # The name, in parentheses, may hold anything.
                state, parent = file.read().rpartition(b")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if state not in (b"Z", b"X"):
            parents[int(entry)] = int(parent)
    below = {root}
    while True:
        more = {pid for pid, parent in parents.items() if parent in below} - below
        if not more:
            return below - {root}
        below |= more


if __name__ == "__main__":
    main()
