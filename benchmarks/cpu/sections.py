"""What is timed, section by section."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from contestants import ALL, EXACT, FAST, FLOOR, Contestant, able, chosen
from interleave import measure
from worker import Job
from workload import ANCHORS, CLASSES, Workload

COMPILED = ("torch_peers.torchvision compiled", "torch_peers.formula", "jax_peers.formula")
SOME = (*COMPILED, "torch_peers.torchvision", "jax_peers.optax")
SOME_SOFTMAX = ("softmax_peers.cross_entropy compiled", "jax_peers.softmax")

DETECTION = Workload("labels", ANCHORS, CLASSES)
SOFTMAX = Workload("softmax", 100_000, CLASSES)
DENSE = Workload("binary", 1 << 16, 1 << 8)
SMALL = Workload("labels", 1200, CLASSES)

SIZES = tuple(10**power for power in range(4, 10))
LARGEST_OF_PEERS = 10**7
STREAMED = 10**8
"""Elements of one pass where more are asked for than memory is counted on."""

Section = dict[str, Any]


def jobs(
    workload: Workload,
    contestants: Iterable[Contestant],
    *,
    reused: bool = False,
    gradient: bool = True,
    threads: int | None = None,
) -> list[Job]:
    """The same job for each contestant; the floor always writes to memory that exists."""
    count = threads or len(os.sched_getaffinity(0))
    return [Job(each, workload, reused or each.module == FLOOR.module, gradient, count) for each in contestants]


def both(workload: Workload, contestants: tuple[Contestant, ...], rounds: int) -> Section:
    """Arrays allocated in every call, and arrays or memory used again."""
    sections = {}
    for name, reused in (("fresh", False), ("reused", True)):
        print(f"  {name}", flush=True)
        sections[name] = measure(jobs(workload, contestants, reused=reused), rounds, memory=not reused)
    return sections


def detection(rounds: int, quick: bool) -> Section:
    """The classification loss of one step of RetinaNet, everybody."""
    return both(SMALL if quick else DETECTION, able("labels", "float32"), rounds)


def forward(rounds: int, quick: bool) -> Section:
    """Its value alone, in training mode where a library has one."""
    contestants = chosen("labels", "float32", *SOME)
    return {"forward": measure(jobs(SMALL if quick else DETECTION, contestants, gradient=False), rounds)}


def batches(rounds: int, quick: bool) -> Section:
    """Batches of 2 and 4."""
    sections = {}
    for batch in (2, 4):
        workload = Workload("labels", batch * (1200 if quick else ANCHORS), CLASSES)
        for name, each in both(workload, chosen("labels", "float32", *SOME), max(2, rounds // 2)).items():
            sections[f"{name} {batch}"] = each
    return sections


def dense(rounds: int, quick: bool) -> Section:
    """A binary target for each of 16.8 million elements."""
    return both(Workload("binary", 400, 256) if quick else DENSE, chosen("binary", "float32", *SOME), rounds)


def overhead(rounds: int, quick: bool) -> Section:
    """So few elements that the call itself counts."""
    return {"overhead": measure(jobs(SMALL, chosen("labels", "float32", *SOME)), rounds, memory=False)}


def softmax(rounds: int, quick: bool) -> Section:
    """One softmax a row."""
    return both(Workload("softmax", 1200, CLASSES) if quick else SOFTMAX, able("softmax", "float32"), rounds)


def bfloat16(rounds: int, quick: bool) -> Section:
    """The detection workload in bfloat16."""
    workload = Workload("labels", SMALL.rows if quick else ANCHORS, CLASSES, "bfloat16")
    return both(workload, chosen("labels", "bfloat16", *SOME), rounds)


def threads(rounds: int, quick: bool) -> Section:
    """One processor and all of them, in the same rounds."""
    counts = (1, len(os.sched_getaffinity(0)))
    pairs = [
        jobs(SMALL if quick else DETECTION, [with_threads(each, count)], reused=True, threads=count)[0]
        for each in chosen("labels", "float32", *SOME)
        for count in counts
    ]
    # An even number, so that no pair is torn apart.
    return {"threads": measure(pairs, rounds, memory=False, heat_size=12), "counts": list(counts)}


def with_threads(contestant: Contestant, count: int) -> Contestant:
    """The same under a name that says on how many processors."""
    return replace(contestant, name=f"{contestant.name} on {count}")


def growth(rounds: int, quick: bool) -> Section:
    """Dense targets from 10^4 to 10^9 elements, results into existing arrays."""
    peers = [ALL["torchvision, torch.compile"], ALL["torchvision, eager"]]
    sections = {}
    for size in SIZES[:3] if quick else SIZES:
        print(f"  {size} elements", flush=True)
        passes = max(1, size // STREAMED)
        contestants = [FLOOR, EXACT, FAST, *(peers if size <= LARGEST_OF_PEERS else [])]
        # Peers want two dimensions.
        workload = Workload("binary", size // 10 // passes, 10, passes=passes)
        fewer = rounds if size <= LARGEST_OF_PEERS else max(2, rounds // 3)
        sections[str(size)] = measure(jobs(workload, contestants, reused=True), fewer, memory=False)
    return sections


TIMED: dict[str, Callable[[int, bool], Section]] = {
    each.__name__: each for each in (detection, forward, batches, dense, overhead, softmax, bfloat16, threads, growth)
}
