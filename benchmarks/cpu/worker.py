"""The process of one contestant: answers each request with what it measured."""

import contextlib
import ctypes
import gc
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from contestants import Contestant
from workload import Workload, make

SHORTEST = 0.005
"""Seconds that a measurement takes at least: shorter calls are repeated."""

RETAINING = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(1 << 26),
    "MALLOC_ARENA_MAX": "1",
}
"""Environment in which the C library gives no page back to the system, so that arrays come from memory used before."""


@dataclass(frozen=True)
class Job:
    """What a process times.

    Attributes
    ----------
    reused
        Results into arrays that exist, where the library allows; for all, memory that is not given back to the system.
    gradient
        Value and gradient, or the value alone.
    threads
        Number of processors that the process may use.
    """

    contestant: Contestant
    workload: Workload
    reused: bool = False
    gradient: bool = True
    threads: int = 2

    def environment(self) -> dict[str, str]:
        """What the process must find when it starts: libraries read these at their import."""
        count = str(self.threads)
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
        return {
            **dict.fromkeys(names, count),
            "KERAS_BACKEND": "jax" if self.contestant.module == "jax_peers" else "torch",
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
            "JAX_PLATFORMS": "cpu",
            **(RETAINING if self.reused else {}),
        }


def serve(connection: Connection, job: Job) -> None:
    """Prepare, say so, and answer "time" with seconds a call and "memory" with bytes until None comes."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.threads])
    warnings.simplefilter("ignore")
    try:
        versions = job.contestant.versions()
        inputs = make(job.workload)
        call = job.contestant.load().prepare(job.contestant.variant, inputs, reused=job.reused, gradient=job.gradient)
        checked = call()
        summary = _summary(checked, inputs.normalizer, job.gradient)
        result_bytes = sum(_size(part) for part in (checked if isinstance(checked, tuple) else (checked,)))
        del checked
        # Caches, thread pools and the allocator settle.
        call()
        calls = max(1, round(SHORTEST / max(_seconds(call, 1), 1e-7)))
    except Exception as error:
        connection.send({"failed": f"{type(error).__name__}: {error}".splitlines()[0][:200]})
        return
    gc.collect()
    gc.disable()
    connection.send({"versions": versions, **summary, "result_bytes": result_bytes})
    # Where the other end is gone, so is the reason to go on.
    with contextlib.suppress(EOFError, ConnectionError, KeyboardInterrupt):
        while (request := connection.recv()) is not None:
            connection.send(_seconds(call, calls) if request == "time" else max(_extra_memory(call) for _ in range(3)))


def _seconds(call: Callable[[], Any], calls: int) -> float:
    """Seconds a call; what a call gives is released within the time, as a program does."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def _extra_memory(call: Callable[[], Any]) -> int:
    """Growth of the largest resident size over that before a call, its results included, in bytes."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    # Sets the largest resident size back to the present one.
    Path("/proc/self/clear_refs").write_text("5")
    before = _largest_resident_size()
    kept = call()
    after = _largest_resident_size()
    del kept
    return after - before


def _largest_resident_size() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status has no VmHWM")


def _size(part: Any) -> int:
    return int(getattr(part, "nbytes", 0))


def _summary(result: Any, normalizer: float, gradient: bool) -> dict[str, float]:
    """Sums of value and gradient over the normalizer, by which it is seen that all compute the same loss."""
    import numpy as np

    if not gradient:
        return {"value": float(result)}
    if not isinstance(result, tuple):
        return {}
    value, slope = (np.asarray(_on_host(part)).astype(np.float64) for part in result)
    if value.ndim:
        value, slope = value.sum() / normalizer, slope / normalizer
    return {"value": float(value), "gradient": float(np.abs(slope).sum())}


def _on_host(part: Any) -> Any:
    return part.float().numpy() if hasattr(part, "numpy") and hasattr(part, "float") else part
