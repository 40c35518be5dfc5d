"""Calls on arrays that are divided over processes (PyTorch) or devices (JAX), in processes beside this one.

One process has one CPU device, and a process group needs several: so what is divided is computed in processes that are
started at the first such call, serve every later one, and end with this process.
"""

import atexit
import inspect
import os
import shutil
import socket
import tempfile
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from typing import Any

from focal_ref.conformance.targets import Array, TargetFault

Pair = tuple[Array, Array]
"""Value and gradient."""

PARTS = {"torch": 2, "jax": 4}
"""By library: over how many processes or devices an array is divided."""

PROCESSES = {"torch": 2, "jax": 1}
"""By library: how many processes these are."""

TIME_LIMIT = 60.0
"""Seconds that one process waits for the others."""

GRACE = 2.0
"""Seconds that the others have after one has raised, in which they raise the same if their parts are alike."""


@dataclass(frozen=True)
class Question:
    """A call on arrays that are divided.

    Attributes
    ----------
    library
        Its name.
    function
        What is called, as ``module:name``.
    logits, targets, keywords
        The whole of the arguments, as NumPy arrays and numbers.
    axis
        Axis of the logits that is divided; that of the targets with them, if they have it.
    """

    library: str
    function: str
    logits: Array
    targets: Array
    keywords: Mapping[str, Any]
    axis: int


def divided(question: Question) -> Pair:
    """Value and gradient, put together again; those of the last process where each has its own.

    Raises
    ------
    TargetFault
        If the processes hang or end.
    """
    try:
        futures = [executor.submit(_answer, question) for executor in _executors(question.library)]
        wait(futures, timeout=2 * TIME_LIMIT, return_when=FIRST_EXCEPTION)
        done, late = wait(futures, timeout=GRACE)
        if late:
            # They may wait for one that has raised: the next question gets others.
            _executors.cache_clear()
        answers = [future.result() for future in futures if future in done]
    except BrokenProcessPool as error:
        _executors.cache_clear()
        raise TargetFault("crash", f"a process that had a part of the array ended: {error}") from error
    if late:
        raise TargetFault("hang", f"no answer of {len(late)} processes within {2 * TIME_LIMIT:g} s")
    return answers[-1]


def path_of(function: Callable[..., Any]) -> str:
    """The name by which another process imports a function.

    Raises
    ------
    NotImplementedError
        If there is none, such as for a function within another one or one that a profile maps.
    """
    plain = inspect.unwrap(function)
    module, name = getattr(plain, "__module__", None), getattr(plain, "__qualname__", "<unnamed>")
    if module in (None, "__main__") or "<" in name:
        raise NotImplementedError(
            "divided over devices: the function is called in other processes, which cannot import "
            f"{name!r}; give one that takes the canonical call, at the top of a module"
        )
    return f"{module}:{name}"


@cache
def _executors(library: str) -> tuple[ProcessPoolExecutor, ...]:
    """One for each process, so that each answers every question."""
    folder = tempfile.mkdtemp(prefix="focal-ref-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    context = get_context("spawn")
    return tuple(
        ProcessPoolExecutor(1, context, _begin, (library, rank, f"{folder}/rendezvous"))
        for rank in range(PROCESSES[library])
    )


def _begin(library: str, rank: int, rendezvous: str) -> None:
    """Prepare a process: a member of a group of PyTorch, or several devices of JAX."""
    os.environ["FOCAL_REF_NUM_THREADS"] = "1"
    warnings.simplefilter("ignore")
    if library == "jax":
        import jax

        jax.config.update("jax_platforms", "cpu")  # type: ignore[no-untyped-call]
        jax.config.update("jax_num_cpu_devices", PARTS["jax"])  # type: ignore[no-untyped-call]
        return
    import torch
    import torch.distributed

    torch.set_num_threads(1)
    if "lo" in (name for _, name in socket.if_nameindex()):
        # The name of this machine may have no address.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{rendezvous}",
        rank=rank,
        world_size=PARTS["torch"],
        timeout=timedelta(seconds=TIME_LIMIT),
    )


def _answer(question: Question) -> Pair:
    """What one process has of the results."""
    from focal_ref.conformance.targets.libraries import LIBRARIES

    module, _, name = question.function.partition(":")
    function: Any = import_module(module)
    for part in name.split("."):
        function = getattr(function, part)
    library: Any = LIBRARIES[question.library](question.library, None, "")
    with library.scope(question.logits.dtype.name):
        value, gradient = library.on_parts(
            function, question.logits, question.targets, dict(question.keywords), question.axis
        )
        return library.to_numpy(value, "the result"), library.to_numpy(gradient, "the gradient")
