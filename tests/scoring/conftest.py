"""Files of predictions, and what a plain computation finds in them."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def write_files(tmp_path):
    """Write tables as Parquet files with row groups of 100 rows and checksums of pages; the folder that holds them."""

    def write(*tables, folder="input", row_group_size=100, **further):
        target = tmp_path / folder
        target.mkdir()
        for number, table in enumerate(tables):
            table = table if isinstance(table, pa.Table) else pa.table(table)
            path = target / f"{number:03d}.parquet"
            pq.write_table(table, path, row_group_size=row_group_size, write_page_checksum=True, **further)
        return target

    return write


@pytest.fixture
def binary_table():
    """Logits, targets and a slice of so many rows, from a seed."""

    def make(seed=0, rows=1000):
        random = np.random.default_rng(seed)
        slices = np.array(["day", "night", "dusk", None], dtype=object)[random.integers(0, 4, rows)]
        return pa.table(
            {
                "logits": random.normal(-2, 4, rows).astype(np.float32),
                "targets": (random.random(rows) < 0.2).astype(np.uint8),
                "slice": pa.array(slices, pa.string()),
            }
        )

    return make


@pytest.fixture
def printed_formula():
    """The paper's formula, one number at a time in float64: FL = -alpha_t (1 - p_t)^gamma log(p_t)."""

    def loss(logit, target, alpha=0.25, gamma=2.0):
        margin = float(logit) if target else -float(logit)
        tail = math.exp(-abs(margin))
        other = (tail if margin >= 0 else 1.0) / (1.0 + tail)
        cross_entropy = math.log1p(tail) + max(-margin, 0.0)
        weight = 1.0 if alpha is None else alpha if target else 1.0 - alpha
        return weight * other**gamma * cross_entropy

    return loss
