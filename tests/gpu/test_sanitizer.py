"""compute-sanitizer over the kernels of both libraries."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "sanitized.py"


@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "initcheck", "synccheck"])
@pytest.mark.parametrize("library", ["torch", "cupy"])
def test_compute_sanitizer_finds_nothing(library, tool):
    packages = find_spec("nvidia")
    roots = packages.submodule_search_locations if packages else None
    places = [path / "bin" for root in roots or [] for path in Path(root).iterdir()]
    sanitizer = shutil.which("compute-sanitizer", path=os.pathsep.join([os.environ["PATH"], *map(str, places)]))
    assert sanitizer, "needs compute-sanitizer, of the CUDA toolkit or 'pip install nvidia-cuda-sanitizer-api'"
    command = [sanitizer, "--tool", tool, "--error-exitcode", "9", sys.executable, str(SCRIPT), library]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, f"{ran.stdout[-3000:]}{ran.stderr[-3000:]}"
