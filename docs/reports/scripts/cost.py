"""Time and memory of a proposed function in proportion to the released one, measured in turns in one process.

    PYTHONPATH=docs/reports/scripts python docs/reports/scripts/cost.py torchvision --backend=torch

Medians of the rounds, on one thread. Logits have a last axis of 100, such as classes; targets are one-hot for
a categorical loss, one positive in a hundred for the others.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from functions import NAMES, training_pair

SIZES = (10_000, 1_000_000)
CLASSES = 100


def main(name: str, backend: str, rounds: int) -> None:
    """Print a row a size."""
    measured = _jax if backend == "jax" else _torch
    for size in SIZES:
        rng = np.random.default_rng(size)
        logits = rng.normal(-3, 3, (size // CLASSES, CLASSES)).astype(np.float32)
        targets = np.eye(CLASSES, dtype=np.float32)[rng.integers(0, CLASSES, size // CLASSES)]
        steps, saved = measured(name, backend, logits, targets)
        for direction, (released, proposed) in steps.items():
            before, after = _medians(released, proposed, rounds)
            print(
                f"{name} {backend} {size:>9,} elements {direction:20}"
                f" {before * 1e3:9.3f} ms -> {after * 1e3:9.3f} ms, ratio {after / before:.2f}"
            )
        if saved:
            print(
                f"{name} {backend} {size:>9,} elements saved for backward {saved[0]:.1f} -> {saved[1]:.1f} bytes each"
            )


def _medians(released: Callable[[], Any], proposed: Callable[[], Any], rounds: int) -> tuple[float, float]:
    times: tuple[list[float], list[float]] = ([], [])
    for warm in range(-3, rounds):
        for step, kept in zip((released, proposed), times, strict=True):
            start = time.perf_counter()
            step()
            if warm >= 0:
                kept.append(time.perf_counter() - start)
    return statistics.median(times[0]), statistics.median(times[1])


def _torch(name: str, backend: str, logits: Any, targets: Any) -> tuple[dict[str, Any], tuple[float, float]]:
    import torch

    torch.set_num_threads(1)
    functions = training_pair(name, "torch")
    x, t = torch.from_numpy(logits).requires_grad_(), torch.from_numpy(targets)
    saved = tuple(_saved(function, x, t) / x.numel() for function in functions)
    if backend == "compile":
        functions = tuple(torch.compile(function) for function in functions)  # type: ignore[assignment]

    def forward(function: Any) -> Callable[[], Any]:
        detached = x.detach()
        return lambda: function(detached, t)

    def both(function: Any) -> Callable[[], Any]:
        return lambda: torch.autograd.grad(function(x, t), x)

    return {
        "forward": tuple(forward(function) for function in functions),
        "forward and backward": tuple(both(function) for function in functions),
    }, saved  # type: ignore[return-value]


def _saved(function: Any, x: Any, t: Any) -> int:
    """Bytes that the graph holds, beside the inputs."""
    import torch

    held: dict[int, int] = {}

    def pack(tensor: Any) -> Any:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = function(x, t)
    for given in (x, t):
        held.pop(given.untyped_storage().data_ptr(), None)
    del result
    return sum(held.values())


def _jax(name: str, backend: str, logits: Any, targets: Any) -> tuple[dict[str, Any], None]:
    import jax

    functions = training_pair(name, "jax")
    x, t = jax.numpy.asarray(logits), jax.numpy.asarray(targets)

    def step(function: Any) -> Callable[[], Any]:
        compiled = jax.jit(function)
        return lambda: jax.block_until_ready(compiled(x, t))

    return {
        "forward": tuple(step(function) for function in functions),
        "forward and backward": tuple(step(jax.value_and_grad(function)) for function in functions),
    }, None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--backend", choices=("torch", "compile", "jax"), default="torch")
    parser.add_argument("--rounds", type=int, default=25)
    arguments = parser.parse_args()
    main(arguments.name, arguments.backend, arguments.rounds)
