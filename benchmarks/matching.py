"""Time and memory of matching 120,087 anchors (an 800 x 800 picture), beside torchvision's box_iou and Matcher.

    python benchmarks/matching.py [--rounds N] [--out FILE]

Each implementation runs in a process of its own and the rounds are interleaved, so that whatever else the machine does
falls on both: what counts is the median of the ratios of the rounds. The results of every round are compared. Extra
memory is what a call allocates beside its result at the worst moment: for NumPy arrays as tracemalloc counts them, for
torch the growth of the process's largest resident size over that before the first call.
"""

import argparse
import datetime
import json
import multiprocessing
import platform
import resource
import statistics
import sys
import time
import tracemalloc
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

PICTURE = 800
COUNTS = (1, 8, 100, 500)
THREADS = 2


def inputs(count: int) -> tuple[Array, Array]:
    """The paper's anchors and ground truths of 10 to 200 pixels, float32."""
    from focal_ref.detection import anchor_boxes

    generator = np.random.default_rng(count)
    sides = generator.uniform(10, 200, (count, 2))
    corners = generator.uniform(0, PICTURE - 200, (count, 2))
    boxes = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
    return anchor_boxes((PICTURE, PICTURE)), boxes


def ours(connection: Connection, count: int) -> None:
    """Answer each request with the seconds of a call and its codes, and at the end with its extra memory."""
    from focal_ref.detection import match_anchors, to_torchvision

    anchors, boxes = inputs(count)
    match_anchors(anchors, boxes, preset="torchvision")
    while connection.recv():
        start = time.perf_counter()
        matches = match_anchors(anchors, boxes, preset="torchvision")
        connection.send((time.perf_counter() - start, to_torchvision(matches)))
    tracemalloc.start()
    matches = match_anchors(anchors, boxes, preset="torchvision")
    connection.send(tracemalloc.get_traced_memory()[1] - sum(field.nbytes for field in matches))


def torchvision(connection: Connection, count: int) -> None:
    """The same for torchvision, as its RetinaNet does it."""
    import torch

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.detection.peers import load_torchvision_detection

    library = load_torchvision_detection()
    torch.set_num_threads(THREADS)
    anchors, boxes = (torch.from_numpy(array) for array in inputs(count))
    matcher = library.Matcher(0.5, 0.4, allow_low_quality_matches=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    matcher(library.box_iou(boxes, anchors))
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    while connection.recv():
        start = time.perf_counter()
        codes = matcher(library.box_iou(boxes, anchors))
        connection.send((time.perf_counter() - start, codes.numpy()))
    connection.send(extra)


def measure(count: int, rounds: int) -> dict[str, float]:
    """Interleave both for a number of ground truths."""
    context = multiprocessing.get_context("spawn")
    connections, processes = [], []
    for implementation in (ours, torchvision):
        here, there = context.Pipe()
        process = context.Process(target=implementation, args=(there, count))
        process.start()
        # The other end belongs to the process: if that dies, waiting for it ends.
        there.close()
        connections.append(here)
        processes.append(process)
    seconds: list[tuple[float, float]] = []
    for _ in range(rounds):
        answers = []
        for connection in connections:
            connection.send(True)
            answers.append(connection.recv())
        if not np.array_equal(answers[0][1], answers[1][1]):
            raise SystemExit(f"{count} boxes: the two implementations disagree")
        seconds.append((answers[0][0], answers[1][0]))
    memory = []
    for connection, process in zip(connections, processes, strict=True):
        connection.send(False)
        memory.append(connection.recv())
        process.join()
    return {
        "boxes": count,
        "ratio": round(statistics.median(theirs / own for own, theirs in seconds), 1),
        "milliseconds": round(1e3 * statistics.median(own for own, _ in seconds), 1),
        "torchvision_milliseconds": round(1e3 * statistics.median(theirs for _, theirs in seconds), 1),
        "extra_mebibytes": round(memory[0] / 2**20, 2),
        "torchvision_extra_mebibytes": round(memory[1] / 2**20, 1),
    }


def main() -> None:
    """Measure every number of ground truths, print a table, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="where to write the result as JSON")
    arguments = parser.parse_args()
    rows = []
    for count in COUNTS:
        rows.append(measure(count, arguments.rounds))
        print(rows[-1], flush=True)
    result = {
        "date": datetime.date.today().isoformat(),
        "command": "python benchmarks/matching.py",
        "rounds": arguments.rounds,
        "anchors": len(inputs(1)[0]),
        "threads": {"ours": 1, "torchvision": THREADS},
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("focal-ref", "numpy", "numba", "torch", "torchvision")},
        "rows": rows,
    }
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
