"""What the example for torch.distributed prints does not depend on the number of its processes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "torch_distributed" / "train.py"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "FOCAL_REF_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}


def losses(*launcher):
    done = subprocess.run(
        [sys.executable, *launcher, str(SCRIPT)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [float(number) for number in re.findall(r"^step \d+: loss ([\d.]+)$", done.stdout, re.MULTILINE)]


def test_two_processes_print_the_losses_of_one_and_these_fall():
    one = losses()
    two = losses("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    assert len(one) == 5
    assert one[-1] < one[0]
    # Float32 sums of gradients in another order, over five steps.
    assert two == pytest.approx(one, rel=1e-5)
