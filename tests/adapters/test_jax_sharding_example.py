"""`examples/jax_sharding` on eight devices."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jax")

EXAMPLE = Path(__file__).parents[2] / "examples" / "jax_sharding" / "train.py"


def test_training_on_a_mesh_prints_the_losses_of_one_device():
    flags = "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    finished = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLE],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]
    first, *ways = finished.stdout.splitlines()
    assert first == "8 devices"
    losses = {}
    for way in ways:
        name, numbers, apart = re.fullmatch(r"(.+?)  +([\d. ]+)  parameters at most (\S+) apart", way).groups()
        losses[name] = [float(number) for number in numbers.split()]
        assert float(apart) < 1e-6
    assert [*losses] == ["one device", "jit", "shard_map"]
    assert losses["one device"][-1] < losses["one device"][0]
    for name in ("jit", "shard_map"):
        assert losses[name] == pytest.approx(losses["one device"], abs=2e-5)
