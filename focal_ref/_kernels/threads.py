"""A run of elements shared among threads: kernels release Python's lock while they compute."""

import os
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress

from focal_ref._threads import processors

MINIMUM = 1 << 17
"""Elements that are worth a thread: waking one takes some ten microseconds."""

SHARES = 4
"""Pieces a thread: one that is held up by other programs leaves its last pieces to the others."""

_pool: Executor | None = None


def in_parallel(run: Callable[[int, int], bool], size: int, step: int, threads: int, *, minimum: int = MINIMUM) -> bool:
    """Call ``run(start, stop)`` for pieces of ``range(size)``; whether every call said True.

    Parameters
    ----------
    run
        Writes what belongs to its piece and nothing else, so that no result depends on who computes it.
    size
        Number of elements.
    step
        Pieces begin at multiples of this.
    threads
        How many may work at once.
    minimum
        Elements that are worth a thread.
    """
    threads = min(threads, size // minimum)
    if threads < 2:
        return run(0, size)
    length = max(step, -(-size // (threads * SHARES * step)) * step)
    starts = range(0, size, length)
    pieces = iter([(start, min(start + length, size)) for start in starts])

    def work() -> bool:
        # Taking the next piece is one step under Python's lock.
        return all(run(*piece) for piece in pieces)

    helpers = []
    # While the interpreter shuts down no thread can be started: then this one does it all.
    with suppress(RuntimeError):
        helpers = [_started_pool().submit(work) for _ in range(threads - 1)]
    done = [work()]
    return all(done + [helper.result() for helper in helpers])


def _started_pool() -> Executor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(processors(), thread_name_prefix="focal_ref")
    return _pool


def _forget_pool() -> None:
    # A forked process has none of its parent's threads.
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
