"""What docs/distributed.md estimates from: an all_reduce of one number, and the loss of one picture on one thread.

python benchmarks/distributed.py --out benchmarks/results/distributed.json
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import torch
import torch.distributed as dist

import focal_ref

WORLDS = (2, 4, 8)
ROUNDS = 1000
ANCHORS, CLASSES = 153_576, 80
"""Of a picture of 800 x 1024."""


def collective(rank: int, world: int, folder: str) -> None:
    """Time all_reduce of one float64 over gloo on the loopback device."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world)
    number = torch.ones((), dtype=torch.float64)
    seconds = []
    for _ in range(ROUNDS):
        number.fill_(1.0)
        start = time.perf_counter()
        dist.all_reduce(number)
        seconds.append(time.perf_counter() - start)
    if rank == 0:
        Path(folder, "seconds").write_text(json.dumps(sorted(seconds[ROUNDS // 10 :])))
    dist.destroy_process_group()


def collectives() -> list[dict[str, float]]:
    """Median and 99th percentile for each number of processes."""
    rows = []
    for world in WORLDS:
        with tempfile.TemporaryDirectory() as folder:
            torch.multiprocessing.start_processes(collective, (world, folder), nprocs=world, start_method="fork")
            seconds = json.loads(Path(folder, "seconds").read_text())
        median = statistics.median(seconds)
        rows.append(
            {
                "processes": world,
                "median_microseconds": round(median * 1e6, 1),
                "p99_microseconds": round(seconds[len(seconds) * 99 // 100] * 1e6, 1),
                # A ring passes the number on world - 1 times to add it up, and as often to tell the result.
                "microseconds_a_message": round(median * 1e6 / (2 * (world - 1)), 1),
            }
        )
    return rows


def rates() -> dict[str, float]:
    """Elements a second of the loss of labels and its gradient, by autograd, on one thread: the best of seven."""
    torch.set_num_threads(1)
    logits, labels = torch.randn(ANCHORS, CLASSES) - 4.0, torch.full((ANCHORS,), focal_ref.BACKGROUND)
    labels[::1000] = 3
    found = {}
    for precision in ("exact", "fast"):
        seconds = []
        for _ in range(7):
            leaf = logits.detach().requires_grad_()
            start = time.perf_counter()
            focal_ref.loss_from_labels(leaf, labels, reduction="sum", precision=precision).backward()
            seconds.append(time.perf_counter() - start)
        found[precision] = round(logits.numel() / min(seconds))
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    results = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": "python benchmarks/distributed.py",
        "versions": {"focal-ref": focal_ref.__version__, "torch": torch.__version__},
        "processors": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "all_reduce_of_one_float64_gloo": collectives(),
        "elements_a_second_value_and_gradient_one_thread": rates(),
    }
    out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
