"""Scores 10^9 logged predictions under a memory limit that the operating system enforces.

    python benchmarks/score.py --folder=/path/with/3/GB --output=benchmarks/results/score.json

Writes Parquet files of random logits, targets and slices; the sums that it compares with are computed while writing, by
the formula of the paper in NumPy, and share nothing with what is measured.
"""

import argparse
import datetime
import json
import math
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import focal_ref

ROW_GROUP, SLICES = 1 << 20, 10

# ARROW_DEFAULT_MEMORY_POOL=system: Arrow's own allocator reserves a gigabyte that it does not use.
CHILD = """
import json, resource, sys, time
limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
from focal_ref.scoring import score
start = time.perf_counter()
report = score(sys.argv[1], sys.argv[2], workers=int(sys.argv[4]), by_class=True, group_by="slice")
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "peak_rss_bytes": peak, "report": report.data}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where files and results go; nothing is deleted")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--files", type=int, default=10)
    parser.add_argument("--rows", type=int, default=100_000_000, help="of each file")
    parser.add_argument("--limit-mib", type=int, default=1024)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    folder = given.folder / "predictions"
    folder.mkdir(parents=True, exist_ok=True)
    expected = [written(folder / f"{number:02d}.parquet", number, given.rows) for number in range(given.files)]
    found = scored(folder, given.folder / "results", given.limit_mib << 20, given.workers)
    given.output.write_text(json.dumps(compared(expected, found, folder, given), indent=2) + "\n")
    print(given.output.read_text())


def written(path: Path, seed: int, rows: int) -> dict[int, float]:
    """Write one file, and return the sum of the losses of each slice; what is written already is computed anew."""
    sums: dict[int, list[float]] = {number: [] for number in range(SLICES)}
    schema = pa.schema({"logits": pa.float32(), "targets": pa.uint8(), "slice": pa.uint8()})
    random = np.random.default_rng(seed)
    temporary = path.with_suffix(".tmp")
    with pq.ParquetWriter(
        temporary, schema, compression="none", use_dictionary=["targets", "slice"], write_page_checksum=True
    ) as writer:
        for first in range(0, rows, ROW_GROUP):
            count = min(ROW_GROUP, rows - first)
            logits = random.standard_normal(count, dtype=np.float32) * np.float32(3.0) - np.float32(3.0)
            targets = (random.random(count, dtype=np.float32) < 0.05).astype(np.uint8)
            slices = random.integers(0, SLICES, count, dtype=np.uint8)
            losses = printed_formula(logits, targets)
            for number in range(SLICES):
                sums[number].append(float(losses[slices == number].sum()))
            writer.write_table(pa.table([logits, targets, slices], schema=schema), row_group_size=ROW_GROUP)
    os.replace(temporary, path)
    return {number: math.fsum(parts) for number, parts in sums.items()}


def printed_formula(logits: Any, targets: Any) -> Any:
    """FL = -alpha_t (1 - p_t)^2 log(p_t) with alpha = 0.25, in float64."""
    margin = np.where(targets == 1, logits, -logits).astype(np.float64)
    positive = np.exp(-np.abs(margin))
    other = np.where(margin >= 0, positive, 1.0) / (1.0 + positive)
    return np.where(targets == 1, 0.25, 0.75) * other**2 * (np.log1p(positive) + np.maximum(-margin, 0.0))


def scored(folder: Path, results: Path, limit: int, workers: int) -> dict[str, Any]:
    """Score in a process of its own, so that the limit and the peak are its alone."""
    environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}
    command = [sys.executable, "-c", CHILD, str(folder), str(results), str(limit), str(workers)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"scoring ended with {result.returncode}: {result.stderr}")
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def compared(expected: list[dict[int, float]], found: dict[str, Any], folder: Path, given: Any) -> dict[str, Any]:
    """The record; ends if a count or a sum is not what it should be."""
    report = found["report"]
    sums = {number: math.fsum(file[number] for file in expected) for number in range(SLICES)}
    total = math.fsum(sums.values())
    errors = [abs(report["loss"]["sum"] - total) / total]
    for entry in report["groups"]["slice"]:
        errors.append(abs(entry["loss"]["sum"] - sums[entry["value"]]) / sums[entry["value"]])
    rows = given.files * given.rows
    if report["rows"] != {"read": rows, "scored": rows, "rejected": 0, "unreadable": 0} or max(errors) > 1e-12:
        sys.exit(f"rows {report['rows']} of {rows}, largest relative error of a sum {max(errors):.3g}")
    size = sum(file.stat().st_size for file in folder.iterdir())
    return {
        "date": datetime.date.today().isoformat(),
        "versions": {"focal-ref": focal_ref.__version__, "python": platform.python_version(), **report["versions"]},
        "machine": {"processors": len(os.sched_getaffinity(0)), "system": f"{platform.system()} {platform.machine()}"},
        "rows": rows,
        "files": given.files,
        "bytes": size,
        "workers": given.workers,
        "limit": {"kind": "RLIMIT_DATA", "bytes": given.limit_mib << 20},
        "peak_rss_bytes": found["peak_rss_bytes"],
        "seconds": round(found["seconds"], 1),
        "rows_per_second": round(rows / found["seconds"]),
        "options": report["options"],
        "loss": report["loss"],
        "expected_sum": total,
        "largest_relative_error_of_a_sum": max(errors),
    }


if __name__ == "__main__":
    started = time.perf_counter()
    main()
    print(f"{time.perf_counter() - started:.0f} s in all, peak of this process ", end="")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")
