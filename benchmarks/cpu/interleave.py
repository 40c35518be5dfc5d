"""Contestants in processes of their own, one call each in turn: what else the machine does falls on all of them.

Many are timed in several heats, so that not all lie in memory at once. The references take part in every heat, and
ratios are taken within a round.
"""

import contextlib
import gc
import math
import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from contestants import EXACT, FAST, FLOOR
from worker import Job, serve
from workload import ALPHA, GAMMA, IGNORE, Workload, make

REFERENCES = (FLOOR, EXACT, FAST)
HEAT = 11
"""Contestants of a heat beside the references."""

TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1}
"""How far a sum may be off: enough to tell another loss from this one."""

STARTING = 2
"""Processes that import and compile at the same time."""

WAIT = 300.0
"""Seconds to wait for an answer before a process is given up."""


def measure(jobs: Sequence[Job], rounds: int, *, memory: bool = True, heat_size: int = HEAT) -> dict[str, Any]:
    """Time all jobs, which differ by their contestants alone, in as many heats as are needed.

    Returns
    -------
    dict
        "contestants": by name, what is known of each, and "heats": by name, the seconds of each round.
    """
    fixed = [job for job in jobs if job.contestant in REFERENCES]
    others = [job for job in jobs if job.contestant not in REFERENCES]
    count = max(1, math.ceil(len(others) / heat_size))
    found: dict[str, Any] = {}
    heats = []
    for heat in range(count):
        seconds, about = _heat([*fixed, *others[heat * heat_size : (heat + 1) * heat_size]], rounds, memory=memory)
        heats.append(seconds)
        for name, each in about.items():
            found.setdefault(name, each)
    return {"rounds": rounds, "contestants": found, "heats": heats}


def _heat(jobs: Sequence[Job], rounds: int, *, memory: bool) -> tuple[dict[str, list[float]], dict[str, Any]]:
    about: dict[str, Any] = {}
    with _processes(jobs) as connections:
        ready = {}
        for job, connection in zip(jobs, connections, strict=True):
            name = job.contestant.name
            answer = _answer(connection)
            reason = answer.get("failed") or other_loss(job, answer)
            if reason is None:
                about[name], ready[name] = answer, connection
            else:
                about[name] = _failed(name, reason)
        seconds: dict[str, list[float]] = {name: [] for name in ready}
        for number in range(rounds):
            names = list(ready)
            # Each is first once, so that nobody always follows the same one.
            for name in names[number % len(names) :] + names[: number % len(names)]:
                ready[name].send("time")
                answer = _answer(ready[name])
                if isinstance(answer, dict):
                    about[name] = _failed(name, answer["failed"])
                    del ready[name], seconds[name]
                    continue
                seconds[name].append(float(f"{answer:.4g}"))
                # Threads that spin after their work go to sleep.
                time.sleep(0.003)
        for name, connection in ready.items():
            if memory:
                connection.send("memory")
                answer = _answer(connection)
                about[name]["extra_bytes"] = answer if isinstance(answer, int) else None
            median = sorted(seconds[name])[rounds // 2]
            print(f"    {name:55s} {1e3 * median:12.3f} ms", flush=True)
            connection.send(None)
    return seconds, about


def _failed(name: str, reason: str) -> dict[str, str]:
    print(f"    {name}: {reason}", flush=True)
    return {"failed": reason}


@contextlib.contextmanager
def _processes(jobs: Sequence[Job]) -> Iterator[list[Connection]]:
    """Start a process a job; whatever happens, none outlives the block."""
    context = multiprocessing.get_context("spawn")
    connections: list[Connection] = []
    processes = []
    try:
        for job in jobs:
            here, there = context.Pipe()
            process = context.Process(target=serve, args=(there, job), daemon=True)
            with in_environment(job.environment()):
                process.start()
            # The other end belongs to the process: if that dies, waiting for it ends.
            there.close()
            connections.append(here)
            processes.append(process)
            if len(connections) >= STARTING:
                connections[-STARTING].poll(WAIT)
        yield connections
    finally:
        for connection in connections:
            connection.close()
        for process in processes:
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()


@contextlib.contextmanager
def in_environment(variables: dict[str, str]) -> Iterator[None]:
    """Processes that are started within the block find these variables."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _answer(connection: Connection) -> Any:
    try:
        return connection.recv() if connection.poll(WAIT) else {"failed": f"no answer within {WAIT:.0f} s"}
    except (EOFError, ConnectionResetError):
        return {"failed": "the process ended"}


def other_loss(job: Job, answer: dict[str, Any]) -> str | None:
    """Say if what the contestant computes is not the loss that is timed."""
    if job.contestant.module == FLOOR.module:
        return None
    workload = replace(job.workload, passes=1)
    tolerance = TOLERANCE[workload.storage]
    for name in ("value", "gradient") if job.gradient else ("value",):
        wanted = [sums[name] for sums in expected(workload)]
        if not any(abs(answer[name] - each) <= tolerance * each for each in wanted):
            return f"another loss: the {name} adds up to {answer[name]:.6g} instead of {wanted[0]:.6g}"
    return None


@cache
def expected(workload: Workload) -> tuple[dict[str, float], ...]:
    """Sums of the values and of the gradients' magnitudes over the normalizer, in float64.

    The second counts ignored anchors as background, as the peers are given them.
    """
    inputs = make(workload)
    sums = []
    for ignored_count in (False, True):
        value = gradient = 0.0
        for first in range(0, workload.rows, 1 << 14):
            rows = slice(first, first + (1 << 14))
            logits, labels = inputs.logits[rows].astype(np.float64), inputs.labels[rows]
            if workload.kind == "softmax":
                losses, slopes = _softmax(logits, labels)
            else:
                hot = labels != 0 if workload.kind == "binary" else labels[:, None] == np.arange(workload.classes)
                losses, slopes = _sigmoid(logits, hot)
                if workload.kind == "labels" and not ignored_count:
                    losses[labels == IGNORE] = slopes[labels == IGNORE] = 0.0
            value += float(losses.sum())
            gradient += float(np.abs(slopes).sum())
        sums.append({"value": value / inputs.normalizer, "gradient": gradient / inputs.normalizer})
    gc.collect()
    return tuple(sums)


def _sigmoid(logits: Any, hot: Any) -> tuple[Any, Any]:
    margin = np.where(hot, logits, -logits)
    p, q = 1.0 / (1.0 + np.exp(-margin)), 1.0 / (1.0 + np.exp(margin))
    cross_entropy = np.logaddexp(0.0, -margin)
    weight = np.where(hot, ALPHA, 1.0 - ALPHA) * q**GAMMA
    return weight * cross_entropy, weight * (GAMMA * p * cross_entropy + q)


def _softmax(logits: Any, labels: Any) -> tuple[Any, Any]:
    rows = np.arange(len(logits))
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    p = probabilities[rows, labels]
    hot = labels[:, None] == np.arange(logits.shape[1])
    q = 1.0 - p
    slope = q**GAMMA - GAMMA * q ** (GAMMA - 1) * p * np.log(p)
    return -(q**GAMMA) * np.log(p), slope[:, None] * (probabilities - hot)
