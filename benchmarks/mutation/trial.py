"""Tests in a process of their own, forked after the slow imports: half a second a mutant instead of two."""

import gc
import importlib
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

PRELOADED = (
    "numpy",
    "numba",
    "mpmath",
    "flint",
    "ml_dtypes",
    "array_api_strict",
    "hypothesis",
    "torch",
    "jax",
    "pytest",
)
"""What most tests import; nothing of the project."""

LATE = "Module already imported:pytest.PytestAssertRewriteWarning"
OPTIONS = ("-x", "-q", "-rfE", "--tb=line", "-n0", "-p", "no:cacheprovider", "-W", f"ignore:{LATE}")
PATIENCE = 20
"""Times by which the clock may run faster than the processor counts: other programs run too."""

MEMORY = 12 << 30
"""Bytes of address space: a mutant may ask for all there is."""

PASSED, FAILED, TIMED_OUT = "passed", "failed", "timed out"


@dataclass(frozen=True)
class Trial:
    """How a run of tests ended.

    Attributes
    ----------
    outcome
        `PASSED`, `FAILED` or `TIMED_OUT`.
    test
        The first that failed; "" if none did, or what broke was the import.
    seconds
        Of the processor.
    output
        What pytest printed.
    """

    outcome: str
    test: str
    seconds: float
    output: str


def preload() -> None:
    """Import what the forked processes share."""
    for name in PRELOADED:
        importlib.import_module(name)
    # Otherwise the collector of each process touches, and so copies, all of it.
    gc.collect()
    gc.freeze()


def run_tests(tree: Path, tests: Sequence[str], limit: float, *, write_bytecode: bool = False) -> Trial:
    """Run tests of a tree until the first fails.

    Parameters
    ----------
    tree
        A copy of the checkout, see `tree.copy_tree`.
    tests
        Arguments of pytest.
    limit
        Seconds of the processor after which the process is ended; it and what it started are after `PATIENCE` times as
        many on the clock.
    write_bytecode
        Whether to keep what is compiled: for runs without a mutant alone, since a mutant's file may have the size and
        the second of the original.
    """
    log = tree / "pytest.log"
    start, before = time.monotonic(), processor_seconds()
    process = os.fork()
    if process == 0:
        _child(tree, tests, log, limit, write_bytecode)
    status = None
    while status is None and time.monotonic() - start < PATIENCE * limit:
        done, code = os.waitpid(process, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(code)
        else:
            time.sleep(0.02)
    if status is None:
        os.killpg(process, signal.SIGKILL)
        os.waitpid(process, 0)
    seconds = processor_seconds() - before
    if status in (None, -signal.SIGXCPU, -signal.SIGKILL):
        return Trial(TIMED_OUT, "", seconds, "")
    output = log.read_text(errors="replace")
    found = re.search(r"^(?:FAILED|ERROR) (\S+?\.py(?:::.+?)?)(?: - .*)?$", output, re.MULTILINE)
    return Trial(FAILED if status else PASSED, found[1] if found and status else "", seconds, output)


def processor_seconds() -> float:
    """What the processes that have ended took of the processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _child(tree: Path, tests: Sequence[str], log: Path, limit: float, write_bytecode: bool) -> None:
    try:
        os.setsid()
        os.chdir(tree)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (ceil(limit), ceil(limit)))
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.path.insert(0, str(tree))
        sys.dont_write_bytecode = not write_bytecode
        import pytest

        code = int(pytest.main([*OPTIONS, *tests]))
    except BaseException as error:
        print(f"{type(error).__name__}: {error}")
        code = 70
    sys.stdout.flush()
    os._exit(code)
