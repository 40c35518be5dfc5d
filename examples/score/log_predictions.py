"""Writes a folder of logged predictions: three logits a row, a label, a camera, and a few rows that went wrong."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

CAMERAS = np.array(["front", "left", "rear"])


def predictions(seed: int, rows: int) -> pa.Table:
    """One file: a model that is good at class 0, and worse on the rear camera."""
    random = np.random.default_rng(seed)
    labels = random.choice([-2, -1, 0, 1, 2], rows, p=[0.05, 0.65, 0.15, 0.1, 0.05]).astype(np.int8)
    cameras = random.integers(0, 3, rows)
    logits = random.normal(-3, 1.5, (rows, 3)).astype(np.float32)
    for number, skill in enumerate((5.0, 3.0, 1.5)):
        logits[labels == number, number] += np.where(cameras[labels == number] == 2, skill / 2, skill)
    if seed == 2:
        logits[1234, 1] = np.nan
        labels[40_000] = 7
    columns = {
        "logits": pa.FixedSizeListArray.from_arrays(logits.reshape(-1), 3),
        "label": labels,
        "camera": CAMERAS[cameras],
    }
    return pa.table(columns)


def main(folder: Path) -> None:
    """Four files of 50,000 rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(4):
        # Checksums of pages: without them a changed byte of a number is another number.
        path = folder / f"part-{seed}.parquet"
        pq.write_table(predictions(seed, 50_000), path, row_group_size=10_000, write_page_checksum=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
