"""Each ecosystem is imported by its own module alone."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["focal_ref", "focal_ref.integrations"])
def test_the_packages_import_no_framework(module):
    program = f"import {module}, sys; print(*sys.modules)"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stderr
    assert set(finished.stdout.split()).isdisjoint({"torch", "torchvision", "jax", "optax", "keras"})
