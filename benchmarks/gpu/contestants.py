"""Who is timed on a GPU, by name: this package on each library, other packages, and a copy of the same bytes."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

# The formulas and packages are those of the comparison on the CPU.
sys.path.append(str(Path(__file__).parents[1] / "cpu"))

import torch_peers
from workload import ALPHA, BACKGROUND, CLASSES, GAMMA, IGNORE

import focal_ref

Call = Callable[[], Any]
COPY = "device copy"


@dataclass(frozen=True)
class Inputs:
    """One workload on the device: `rows` anchors of 80 classes, with the shares of labels of the CPU's workload."""

    logits: Any
    labels: Any
    normalizer: float

    def one_hot(self) -> Any:
        """Targets in the logits' shape and dtype; ignored rows count as background."""
        targets = torch.zeros_like(self.logits)
        positive = (self.labels >= 0).nonzero()[:, 0]
        targets[positive, self.labels[positive]] = 1
        return targets


def make(rows: int, dtype: str, device: str) -> Inputs:
    """Draw the inputs on the device."""
    generator = torch.Generator(device).manual_seed(20170807)
    logits = torch.randn(rows, CLASSES, generator=generator, device=device, dtype=getattr(torch, dtype)).mul_(2).sub_(4)
    draw = torch.rand(rows, generator=generator, device=device)
    labels = torch.full((rows,), BACKGROUND, device=device)
    labels = torch.where(draw < 0.02, IGNORE, labels)
    classes = torch.randint(0, CLASSES, (rows,), generator=generator, device=device)
    labels = torch.where(draw > 0.999, classes, labels)
    return Inputs(logits, labels, float(max(1, int((labels >= 0).sum()))))


def copy(inputs: Inputs) -> Call:
    """Reads the logits and writes as many numbers."""
    target = torch.empty_like(inputs.logits)
    return lambda: target.copy_(inputs.logits)


def ours_torch(inputs: Inputs, precision: str, how: str) -> Call:
    """``how``: "forward", "backward", "compiled" (with backward), "value_and_grad", or "graph", which replays that."""
    settings = {"alpha": ALPHA, "gamma": GAMMA, "precision": precision, "reduction": "sum"}
    total = partial(focal_ref.loss_from_labels, normalizer=inputs.normalizer, **settings)
    if how == "forward":
        return lambda: total(inputs.logits, inputs.labels)
    if how in ("value_and_grad", "graph"):
        out = (None, torch.empty_like(inputs.logits))

        def once() -> Any:
            return focal_ref.value_and_grad(
                inputs.logits,
                inputs.labels,
                function=focal_ref.loss_from_labels,
                normalizer=inputs.normalizer,
                out=out,
                **settings,
            )

        return once if how == "value_and_grad" else _captured(once)
    return _backward(inputs, torch.compile(total, dynamic=False) if how == "compiled" else total, inputs.labels)


def peer_torch(inputs: Inputs, name: str, *, compiled: bool) -> Call:
    """Another package's sum over the number of positives, one-hot targets given, and its backward."""
    total = torch_peers.PEERS[name]().total
    if compiled:
        total = torch.compile(total, dynamic=False)
    return _backward(inputs, lambda *given: total(*given) / inputs.normalizer, inputs.one_hot())


def mmcv(inputs: Inputs) -> Call:
    """The CUDA kernel of mmcv, of labels: its background is the number of classes, and nothing is ignored."""
    from mmcv.ops import sigmoid_focal_loss

    labels = torch.where(inputs.labels < 0, CLASSES, inputs.labels)

    def total(logits: Any, labels: Any) -> Any:
        return sigmoid_focal_loss(logits, labels, GAMMA, ALPHA, None, "sum") / inputs.normalizer

    return _backward(inputs, total, labels)


def apex(inputs: Inputs) -> Call:
    """The CUDA kernel of apex, of labels, which divides by a tensor and ignores -2 as here."""
    from apex.contrib.focal_loss import FocalLoss

    positives = torch.full((1,), inputs.normalizer, device=inputs.logits.device)

    def total(logits: Any, labels: Any) -> Any:
        return FocalLoss.apply(logits, labels, positives, CLASSES, ALPHA, GAMMA, 0.0)

    return _backward(inputs, total, inputs.labels)


def jax_jit(inputs: Inputs, name: str, precision: str = "") -> Call:
    """focal_ref or optax under jax.jit, value and gradient."""
    import jax
    import jax.numpy as jnp

    logits = jnp.from_dlpack(inputs.logits.detach())
    if name == "focal_ref":
        labels = jnp.from_dlpack(inputs.labels.to(torch.int32))
        settings = {"alpha": ALPHA, "gamma": GAMMA, "precision": precision, "normalizer": inputs.normalizer}
        total: Any = partial(focal_ref.loss_from_labels, reduction="sum", **settings)
    else:
        from optax.losses import sigmoid_focal_loss

        labels = jnp.from_dlpack(inputs.one_hot())

        def total(logits: Any, targets: Any) -> Any:
            return sigmoid_focal_loss(logits, targets, alpha=ALPHA, gamma=GAMMA).sum() / inputs.normalizer

    both = jax.jit(jax.value_and_grad(total))
    return lambda: jax.block_until_ready(both(logits, labels))


def cupy(inputs: Inputs, precision: str) -> Call:
    """focal_ref on CuPy's arrays, sum and gradient in one pass into memory that exists."""
    import cupy

    if inputs.logits.dtype == torch.bfloat16:
        raise TypeError("CuPy's arrays of bfloat16 cannot be made from another library's")
    logits, labels = cupy.from_dlpack(inputs.logits), cupy.from_dlpack(inputs.labels)
    out = (None, cupy.empty_like(logits))
    settings = {"alpha": ALPHA, "gamma": GAMMA, "precision": precision, "normalizer": inputs.normalizer}
    return lambda: focal_ref.value_and_grad(
        logits, labels, function=focal_ref.loss_from_labels, reduction="sum", out=out, **settings
    )


CONTESTANTS: dict[str, Callable[[Inputs], Call]] = {
    COPY: copy,
    **{
        f"focal_ref {precision}, PyTorch, {how}": partial(ours_torch, precision=precision, how=how)
        for precision in ("exact", "fast")
        for how in ("forward", "value_and_grad", "graph", "backward", "compiled")
    },
    **{
        f"focal_ref {precision}, JAX, jax.jit": partial(jax_jit, name="focal_ref", precision=precision)
        for precision in ("exact", "fast")
    },
    **{f"focal_ref {precision}, CuPy": partial(cupy, precision=precision) for precision in ("exact", "fast")},
    "torchvision, torch.compile": partial(peer_torch, name="torchvision", compiled=True),
    "torchvision, eager": partial(peer_torch, name="torchvision", compiled=False),
    "fvcore, eager": partial(peer_torch, name="fvcore", compiled=False),
    "kornia, eager": partial(peer_torch, name="kornia", compiled=False),
    "optax, jax.jit": partial(jax_jit, name="optax"),
    "mmcv, CUDA kernel": mmcv,
    "apex, CUDA kernel": apex,
}


def _backward(inputs: Inputs, total: Callable[[Any, Any], Any], targets: Any) -> Call:
    logits = inputs.logits.detach().requires_grad_()

    def once() -> Any:
        value = total(logits, targets)
        value.backward()
        gradient, logits.grad = logits.grad, None
        return value.detach(), gradient

    return once


def _captured(once: Call) -> Call:
    """Replays of a CUDA graph: the device's time without the host's."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            once()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        once()
    return graph.replay
