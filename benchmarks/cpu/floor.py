"""The streaming floor: a loop that only reads the logits, and with a gradient writes as many numbers.

Nothing that computes a gradient can be faster than memory delivers the logits and takes the gradient. The loop is split
among threads in equal parts and vectorised; its sum is reassociated (fastmath), which is right for a floor alone.
"""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from workload import Inputs

SMALLEST_PART = 1 << 16
"""Elements that are worth a thread."""


@numba.njit(nogil=True, fastmath=True)
def _read_and_write(logits: Any, gradient: Any) -> Any:
    # Not a copy: that would be the C library's, with stores that go past the caches.
    for index in range(logits.size):
        gradient[index] = -logits[index]


@numba.njit(nogil=True, fastmath=True)
def _read(logits: Any) -> Any:
    total = logits[0] - logits[0]
    for index in range(logits.size):
        total += logits[index]
    return total


def prepare(variant: str, inputs: Inputs, *, reused: bool, gradient: bool) -> Callable[[], Any]:
    """The floor for these inputs; bfloat16 goes by its bits."""
    flat = inputs.logits.reshape(-1)
    if flat.dtype.itemsize == 2:
        flat = flat.view(np.uint16)
    threads = len(os.sched_getaffinity(0))
    count = max(1, min(threads, flat.size // SMALLEST_PART))
    bounds = [flat.size * part // count for part in range(count + 1)]
    parts = [slice(*pair) for pair in itertools.pairwise(bounds)]
    pool = ThreadPoolExecutor(count)
    kept = np.zeros_like(flat) if reused and gradient else None

    def once() -> Any:
        if not gradient:
            if count == 1:
                return _read(flat)
            return sum(pool.map(lambda part: _read(flat[part]), parts))
        written = np.empty_like(flat) if kept is None else kept
        if count == 1:
            _read_and_write(flat, written)
        else:
            list(pool.map(lambda part: _read_and_write(flat[part], written[part]), parts))
        return written

    return _repeated(once, inputs.workload.passes)


def _repeated(once: Callable[[], Any], passes: int) -> Callable[[], Any]:
    if passes == 1:
        return once

    def several() -> Any:
        result = None
        for _ in range(passes):
            result = once()
        return result

    return several
