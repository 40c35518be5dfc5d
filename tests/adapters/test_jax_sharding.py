"""JAX arrays that are divided over eight devices: the tests of `eight_devices`, in processes that have so many."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jax")

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).with_name("eight_devices")
EIGHT = "--xla_force_host_platform_device_count=8"
# Compiling is what takes the time.
QUICKLY = "--xla_llvm_disable_expensive_passes=true --xla_backend_optimization_level=0"


@pytest.mark.parametrize(
    ("subject", "options"),
    [("values", ""), ("derivatives", QUICKLY), ("programs", QUICKLY), ("shard_map", QUICKLY), ("detection", QUICKLY)],
)
def test_on_eight_devices(subject, options):
    flags = f"{os.environ.get('XLA_FLAGS', '')} {EIGHT} {options}"
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", FOLDER / f"{subject}.py"],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-8000:] + finished.stderr[-2000:]
    assert "skipped" not in finished.stdout
    assert "passed" in finished.stdout
