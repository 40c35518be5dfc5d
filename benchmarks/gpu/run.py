"""Time and device memory of this package on a GPU beside others: one command for all of it.

    python benchmarks/gpu/run.py [--device cuda] [--rounds N] [--quick] [--out FILE]

Each contestant takes turns with a copy on the device that reads the logits and writes as many bytes; what counts is the
median of the ratios. Whatever cannot run is in the results with the reason. Results go to benchmarks/results/gpu.json
and from there to docs/performance.md, with the name of the card. `--device cpu --quick` tries whether everything runs.
"""

import argparse
import datetime
import gc
import json
import os
import platform
import statistics
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

# JAX would take three quarters of the device's memory.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import torch
from contestants import CONTESTANTS, COPY, make

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "gpu.json"
PICTURE = 153_576
"""Anchors of a picture of 800 x 1024; times 80 classes."""

WORKLOADS = [
    *((PICTURE, dtype) for dtype in ("float32", "bfloat16", "float16")),
    (2 * PICTURE, "float32"),
    (4 * PICTURE, "float32"),
    *((16 * PICTURE, dtype) for dtype in ("float32", "bfloat16", "float16")),
    (25_000_000, "float32"),
    (25_000_000, "bfloat16"),
]
"""Rows and dtypes; the largest are 2 * 10^9 logits."""

PACKAGES = (
    *("focal-ref", "torch", "triton", "jax", "cupy-cuda13x", "cupy-cuda12x"),
    *("torchvision", "fvcore", "kornia", "optax", "mmcv", "apex"),
)


def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="as PyTorch names it, by default cuda")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each contestant, by default 9")
    parser.add_argument("--quick", action="store_true", help="few rows and 2 rounds")
    parser.add_argument("--out", type=Path, help="results; by default benchmarks/results/gpu.json, and the page")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds: got {options.rounds}; it is at least 1")
    on_gpu = options.device.startswith("cuda")
    if on_gpu and not torch.cuda.is_available():
        parser.error(
            "--device: got 'cuda'; PyTorch sees no GPU on this machine (--device cpu --quick tries the program)"
        )
    if not on_gpu and options.out is None:
        parser.error("--out: not given; results of another device than a GPU do not go to the page, name a file")
    rounds = 2 if options.quick else options.rounds
    workloads = [(1000, "float32"), (1000, "bfloat16")] if options.quick else WORKLOADS
    measured = [workload(rows, dtype, options.device, rounds) for rows, dtype in workloads]
    out = options.out or RESULTS
    out.write_text(json.dumps({**environment(options.device, rounds), "measured": measured}, indent=1) + "\n", "utf-8")
    print(f"written: {out}")
    if options.out is None:
        import page

        page.write(RESULTS)
    return 0


def workload(rows: int, dtype: str, device: str, rounds: int) -> dict[str, Any]:
    """Measure everybody on one workload: one after the other, as all together would not fit into memory."""
    print(f"{rows} x 80 {dtype}", flush=True)
    inputs = make(rows, dtype, device)
    copy = CONTESTANTS[COPY](inputs)
    results: dict[str, dict[str, Any]] = {}
    for name, prepare in CONTESTANTS.items():
        try:
            results[name] = beside(copy, prepare(inputs), device, rounds)
        # Whatever another package raises, out of memory included, is its result.
        except Exception as error:
            results[name] = {"not_run": f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"}
        print(f"  {name:<48}{results[name]}", flush=True)
        gc.collect()
        if device.startswith("cuda"):
            torch.cuda.empty_cache()
    return {"rows": rows, "classes": 80, "dtype": dtype, "results": results}


def beside(copy: Any, call: Any, device: str, rounds: int) -> dict[str, Any]:
    """Time and memory of a contestant, in turns with the copy."""
    memory = extra_memory(call, device)
    repeats, own_repeats = enough_repeats(copy, device), enough_repeats(call, device)
    pairs = [(timed(copy, repeats, device), timed(call, own_repeats, device)) for _ in range(rounds)]
    return {
        "milliseconds": round(1e3 * statistics.median(own for _, own in pairs), 4),
        "ratio_to_copy": round(statistics.median(own / floor for floor, own in pairs), 3),
        "extra_megabytes": memory,
    }


def synchronize(device: str) -> None:
    """Wait for the device."""
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def timed(call: Any, repeats: int, device: str) -> float:
    """Seconds a call, of several in a row."""
    synchronize(device)
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    synchronize(device)
    return (time.perf_counter() - began) / repeats


def enough_repeats(call: Any, device: str) -> int:
    """So many calls that they take some 20 ms."""
    timed(call, 1, device)
    return max(1, min(200, int(0.02 / max(timed(call, 1, device), 1e-6))))


def extra_memory(call: Any, device: str) -> float | None:
    """Most megabytes of the device that a call has beside its inputs, by PyTorch's account; None without one."""
    call()
    if not device.startswith("cuda"):
        return None
    synchronize(device)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call()
    synchronize(device)
    return round((torch.cuda.max_memory_allocated() - before) / 1e6, 3)


def environment(device: str, rounds: int) -> dict[str, Any]:
    """What the figures belong to."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    card = torch.cuda.get_device_name() if device.startswith("cuda") else f"no GPU: {platform.processor() or 'CPU'}"
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"date": date, "card": card, "cuda": torch.version.cuda, "rounds": rounds, "versions": versions}


if __name__ == "__main__":
    sys.exit(main())
