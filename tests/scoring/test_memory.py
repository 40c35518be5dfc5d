"""Memory does not grow with the input: the operating system enforces the limit."""

import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

LIMIT = 512 << 20
ROWS = 80_000_000

CHILD = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[3]), int(sys.argv[3])))
from focal_ref.scoring import score
report = score(sys.argv[1], sys.argv[2], workers=2)
assert not report.unreadable, report.unreadable
print(report.rows_scored, report.loss_mean.hex())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts memory on Linux alone")
def test_more_than_the_limit_is_scored_within_it(tmp_path, write_files):
    block = np.random.default_rng(0).normal(-3, 3, 1 << 16)
    logits = np.tile(block, -(-ROWS // block.size))[:ROWS]
    assert logits.nbytes > LIMIT
    table = pa.table({"logits": logits, "targets": logits > 0})
    folder = write_files(table, row_group_size=ROWS, compression="zstd", use_dictionary=False)
    del logits, table
    # Arrow's own allocator reserves a gigabyte of addresses that it does not use.
    environment = {**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"}
    command = [sys.executable, "-c", CHILD, str(folder), str(tmp_path / "out"), str(LIMIT)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    rows, mean = run.stdout.split()
    assert int(rows) == ROWS
    margin = np.abs(block)
    other = np.exp(-margin) / (1 + np.exp(-margin))
    expected = np.mean(np.where(block > 0, 0.25, 0.75) * other**2 * np.log1p(np.exp(-margin)))
    assert float.fromhex(mean) == pytest.approx(expected, rel=1e-3)


def test_the_test_of_memory_can_fail(tmp_path):
    child = "import resource, numpy; resource.setrlimit(resource.RLIMIT_DATA, (1 << 29, 1 << 29)); numpy.ones(1 << 27)"
    run = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode != 0
    assert "MemoryError" in run.stderr
