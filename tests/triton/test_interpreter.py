"""The Triton kernels in Triton's interpreter, in a process of its own: what `triton.jit` makes is settled on import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path.name for path in (Path(__file__).parent / "interpreted").glob("test_*.py"))


def test_there_are_interpreted_tests():
    assert len(FILES) >= 3


@pytest.mark.parametrize("file", FILES)
def test_the_kernels_do_in_the_interpreter_what_the_tests_say(file):
    command = [sys.executable, "-m", "pytest", f"tests/triton/interpreted/{file}", "-q", "-p", "no:cacheprovider"]
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTEST_ADDOPTS": ""}
    environment.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout, done.stdout[-2000:]
