"""Start: imports beside NumPy's, and the first call in a new process, with an empty and with a filled cache."""

import os
import re
import statistics
import subprocess
import sys
import tempfile
from typing import Any

IMPORT = "import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"

CALL = """\
import time
import numpy as np
{setup}
logits = np.linspace(-8, 8, 80000, dtype=np.float32).reshape(1000, 80)
labels = np.arange(1000) % 80
{prepare}
start = time.perf_counter()
{call}
print(time.perf_counter() - start)
"""

OURS = "import focal_ref"
TORCH = "x = torch.from_numpy(logits).requires_grad_(); y = torch.from_numpy(labels)"

FIRST_CALLS = {
    "loss_from_labels, exact": (OURS, "", "focal_ref.loss_from_labels(logits, labels, reduction='sum')"),
    "loss_from_labels, fast": (
        OURS,
        "",
        "focal_ref.loss_from_labels(logits, labels, reduction='sum', precision='fast')",
    ),
    "value_and_grad of loss_from_labels": (
        OURS,
        "",
        "focal_ref.value_and_grad(logits, labels, function=focal_ref.loss_from_labels)",
    ),
    "value_and_grad of loss": (OURS, "", "focal_ref.value_and_grad(logits, logits > 7)"),
    "softmax_loss": (OURS, "", "focal_ref.softmax_loss(logits, labels, reduction='sum')"),
    "match_anchors": (
        "from focal_ref.detection import match_anchors",
        "anchors = np.array([[0, 0, 9, 9], [5, 5, 20, 20]], dtype=np.float32)",
        "match_anchors(anchors, anchors[:1], preset='torchvision')",
    ),
    "loss_from_labels and backward, PyTorch": (
        f"import torch; {OURS}",
        TORCH,
        "focal_ref.loss_from_labels(x, y, reduction='sum').backward()",
    ),
    "loss_from_labels under jax.jit, value_and_grad": (
        f"import jax; {OURS}",
        "f = jax.jit(jax.value_and_grad(lambda x: focal_ref.loss_from_labels(x, labels, reduction='sum')))",
        "jax.block_until_ready(f(logits))",
    ),
    "peer: stable formula under torch.compile": (
        "import torch, sys; sys.path[:0] = [FOLDER]; import torch_peers",
        "x = torch.from_numpy(logits); y = torch.from_numpy(labels)\n"
        "f = torch.compile(torch_peers._formula_sum, dynamic=False)",
        "f(x, y, 1.0)",
    ),
    "peer: optax under jax.jit, value_and_grad": (
        "import jax, optax",
        "t = np.zeros_like(logits)\n"
        "f = jax.jit(jax.value_and_grad(lambda x: optax.losses.sigmoid_focal_loss(x, t, alpha=0.25, gamma=2.0).sum()))",
        "jax.block_until_ready(f(logits))",
    ),
}


def imports(rounds: int) -> dict[str, list[float]]:
    """Seconds of each import in new processes, interleaved."""
    modules = ("numpy", "focal_ref")
    found: dict[str, list[float]] = {module: [] for module in modules}
    for _ in range(rounds + 1):
        for module in modules:
            found[module].append(_run(IMPORT.format(module=module), {}))
    # The first of each reads its files from the disk.
    found = {module: seconds[1:] for module, seconds in found.items()}
    median = statistics.median(a / b for a, b in zip(found["focal_ref"], found["numpy"], strict=True))
    print(f"    import focal_ref: {median:.2f} times import numpy", flush=True)
    return found


def first_calls(rounds: int) -> dict[str, dict[str, Any]]:
    """Seconds of the first call: once where the cache is empty, and `rounds` times where it is filled."""
    found = {}
    for name, (setup, prepare, call) in FIRST_CALLS.items():
        setup = setup.replace("FOLDER", repr(os.path.dirname(os.path.abspath(__file__))))
        code = CALL.format(setup=setup, prepare=prepare, call=call)
        with tempfile.TemporaryDirectory() as folder:
            caches = {
                "NUMBA_CACHE_DIR": folder,
                "TORCHINDUCTOR_CACHE_DIR": folder,
                "JAX_COMPILATION_CACHE_DIR": folder,
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
                "JAX_PLATFORMS": "cpu",
            }
            try:
                cold = _run(code, caches)
                found[name] = {"cold": cold, "cached": [_run(code, caches) for _ in range(rounds)]}
                print(
                    f"    {name:55s} {cold:.2f} s, cached {statistics.median(found[name]['cached']):.3f} s", flush=True
                )
            except subprocess.CalledProcessError as error:
                found[name] = {"failed": _reason(error.stderr)}
                print(f"    {name}: {found[name]['failed']}", flush=True)
    return found


def _reason(text: str) -> str:
    """The line of a traceback that names the error."""
    lines = [line for line in text.splitlines() if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return lines[-1][:200] if lines else "failed without a message"


def _run(code: str, variables: dict[str, str]) -> float:
    command = [sys.executable, "-W", "ignore", "-c", code]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return float(f"{float(done.stdout):.4g}")


def start(rounds: int, quick: bool) -> dict[str, Any]:
    """Both."""
    return {"imports": imports(3 if quick else max(rounds, 11)), "first_calls": first_calls(2 if quick else 5)}
