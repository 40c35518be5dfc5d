"""Largest error of each contestant, in units in the last place, on a fixed sample.

Logits from -20 to 20 in steps of 0.1 with both targets, against the printed formula in arbitrary precision
(`focal_ref.conformance.oracle`); rows of 80 classes against double-double arithmetic. Neither shares code with what is
measured.
"""

import multiprocessing
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from contestants import Contestant
from interleave import in_environment
from numpy.typing import NDArray
from worker import Job
from workload import ALPHA, CLASSES, GAMMA, Workload

Array = NDArray[Any]

ROWS = 200
PROCESSES = 2


@dataclass(frozen=True)
class Sample:
    """Logits and targets of a kind and format, with the exact value and gradient as float64."""

    kind: str
    storage: str
    logits: Array
    targets: Array
    value: Array
    gradient: Array


def samples(*, quick: bool) -> list[Sample]:
    """The three samples."""
    return [_elements("float32", quick), _elements("bfloat16", quick), _rows(20 if quick else ROWS)]


def _elements(storage: str, quick: bool) -> Sample:
    import ml_dtypes

    from focal_ref.conformance import oracle

    dtype = np.float32 if storage == "float32" else ml_dtypes.bfloat16
    column = np.unique(np.linspace(-20.0, 20.0, 41 if quick else 401).astype(dtype).astype(np.float64))
    logits = np.concatenate([column, column])[:, None]
    targets = np.repeat([0.0, 1.0], column.size)[:, None].astype(np.float32)
    exact = [
        [float(quantity(float(x), float(t), ALPHA, GAMMA)) for x, t in zip(logits[:, 0], targets[:, 0], strict=True)]
        for quantity in (oracle.loss, oracle.gradient)
    ]
    value, gradient = (np.array(numbers)[:, None] for numbers in exact)
    return Sample("labels", storage, logits.astype(dtype), targets, value, gradient)


def _rows(count: int) -> Sample:
    from focal_ref.conformance.formats import FORMATS
    from focal_ref.conformance.softmax_truth import softmax_results

    generator = np.random.default_rng(20170807)
    # Half of the rows undecided, half of them nearly decided.
    scale = np.where(np.arange(count) % 2 == 0, 2.0, 8.0)[:, None]
    logits = (scale * generator.standard_normal((count, CLASSES))).astype(np.float32)
    labels = generator.integers(0, CLASSES, count)
    exact = softmax_results(logits, labels, gamma=GAMMA, format=FORMATS["float64"])
    value, gradient = (exact[name].numbers for name in ("value", "gradient"))
    return Sample("softmax", "float32", logits, labels, value, gradient)


def largest_error(got: Array, exact: Array, storage: str) -> float:
    """Largest error in units in the last place of the exact result; infinite for NaN and infinity."""
    precision, smallest = {"float32": (24, -126), "bfloat16": (8, -126)}[storage]
    # |exact| = m 2^e with 1/2 <= m < 1.
    exponent = np.maximum(np.frexp(exact)[1] - 1, smallest) - (precision - 1)
    with np.errstate(invalid="ignore"):
        error = np.abs(np.ldexp(np.asarray(got).astype(np.float64) - exact, -exponent))
    return float(np.max(np.where(np.isnan(error), np.inf, error)))


def serve(connection: Connection, contestant: Contestant, chosen: list[Sample]) -> None:
    """Send the errors of one contestant on its samples."""
    warnings.simplefilter("ignore")
    found: dict[str, Any] = {}
    try:
        module = contestant.load()
        for sample in chosen:
            value, gradient = module.evaluate(contestant.variant, sample.logits, sample.targets)
            pairs = {"value": (value, sample.value), "gradient": (gradient, sample.gradient)}
            errors = {
                name: largest_error(np.asarray(got).reshape(exact.shape), exact, sample.storage)
                for name, (got, exact) in pairs.items()
            }
            found[f"{sample.kind} {sample.storage}"] = {
                name: float(f"{error:.6g}") if np.isfinite(error) else "not finite" for name, error in errors.items()
            }
    except Exception as error:
        found["failed"] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    connection.send(found)


def errors(contestants: Iterable[Contestant], *, quick: bool) -> dict[str, Any]:
    """By name, the errors of each on the samples that it can do; two processes at a time."""
    drawn = samples(quick=quick)
    waiting = [(each, fitting) for each in contestants if (fitting := _fitting(each, drawn))]
    found = {}
    while waiting:
        started = [_start(*each) for each in waiting[:PROCESSES]]
        del waiting[:PROCESSES]
        for contestant, connection, process in started:
            try:
                found[contestant.name] = connection.recv()
            except EOFError:
                found[contestant.name] = {"failed": "the process ended"}
            process.join()
            print(f"    {contestant.name:55s} {found[contestant.name]}", flush=True)
    return found


def _fitting(contestant: Contestant, drawn: list[Sample]) -> list[Sample]:
    # Built or given, the targets make no difference to what is computed.
    if contestant.module == "floor" or contestant.targets == "one-hot built":
        return []
    return [each for each in drawn if each.kind in contestant.kinds and each.storage in contestant.formats]


def _start(contestant: Contestant, chosen: list[Sample]) -> tuple[Contestant, Connection, Any]:
    here, there = multiprocessing.get_context("spawn").Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there, contestant, chosen), daemon=True)
    job = Job(contestant, Workload("labels", 1, 1), threads=len(os.sched_getaffinity(0)))
    with in_environment(job.environment()):
        process.start()
    there.close()
    return contestant, here, process
