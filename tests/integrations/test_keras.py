"""The Keras losses on each backend, every one in a process of its own: Keras chooses it once, on import."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = Path(__file__).with_name("keras_checks.py")


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_every_check_holds_on_the_backend(backend):
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", str(CHECKS)]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    report = done.stdout[-4000:] + done.stderr[-2000:]
    assert done.returncode == 0, report
    # None is skipped.
    assert re.fullmatch(r"\d+ passed in .*", done.stdout.splitlines()[-1]), report
