"""Losses of other packages on PyTorch, eager and under torch.compile, and the fused stable formula.

Each peer is a function of logits and one-hot targets that gives the sum, and one that gives each element. The peers
ignore no anchor: what they are given counts those as background, which spares them the work.
"""

import ast
import importlib.util
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from workload import ALPHA, GAMMA, IGNORE, Inputs

ROOT = Path(__file__).parents[2]

_kept: list[Any] = []
"""The shim's operators end with the last reference to its names."""


class Peer(NamedTuple):
    """The sum of the losses, and each of them, of logits (n, C) and targets of the same shape."""

    total: Callable[[Any, Any], Any]
    each: Callable[[Any, Any], Any]


def tensor(array: Any) -> Any:
    """A tensor over the same memory."""
    if array.dtype == np.float32:
        return torch.from_numpy(array)
    return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)


def array(tensor: Any) -> Any:
    """A NumPy array over the same memory."""
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        return tensor.contiguous().view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def torchvision() -> Peer:
    """torchvision.ops.sigmoid_focal_loss; the shim lets it be imported beside another build of PyTorch."""
    _kept.append(runpy.run_path(str(ROOT / "implementations" / "shims" / "torchvision_operators.py")))
    from torchvision.ops import sigmoid_focal_loss

    return _with_reduction(sigmoid_focal_loss)


def fvcore() -> Peer:
    """fvcore.nn.sigmoid_focal_loss."""
    from fvcore.nn import sigmoid_focal_loss

    return _with_reduction(sigmoid_focal_loss)


def kornia() -> Peer:
    """kornia.losses.binary_focal_loss_with_logits."""
    from kornia.losses import binary_focal_loss_with_logits

    return _with_reduction(binary_focal_loss_with_logits)


def monai() -> Peer:
    """monai.losses.FocalLoss with one sigmoid a class: the mean times the count, as its sum of (n, C) is a mean."""
    from monai.losses import FocalLoss

    mean, each = (FocalLoss(gamma=GAMMA, alpha=ALPHA, reduction=name) for name in ("mean", "none"))
    return Peer(lambda logits, targets: mean(logits, targets) * logits.numel(), each)


def detr() -> Peer:
    """DETR's sigmoid_focal_loss in transformers: the mean over the second axis, whose length makes it the sum."""
    found = importlib.util.find_spec("transformers")
    if found is None or found.origin is None:
        raise ImportError("transformers is not installed")
    file = Path(found.origin).parent / "loss" / "loss_for_object_detection.py"
    loss = _function(file, "sigmoid_focal_loss", nn=torch.nn)

    def total(logits: Any, targets: Any) -> Any:
        return loss(logits, targets, 1.0 / logits.shape[1], ALPHA, GAMMA)

    def each(logits: Any, targets: Any) -> Any:
        pairs = zip(logits.reshape(-1, 1, 1), targets.reshape(-1, 1, 1), strict=True)
        return torch.stack([total(*pair) for pair in pairs]).reshape(logits.shape)

    return Peer(total, each)


def keras() -> Peer:
    """keras.losses.BinaryFocalCrossentropy on PyTorch: the mean over the last axis, whose length makes it the sum."""
    from keras.losses import BinaryFocalCrossentropy

    given: dict[str, Any] = {
        "apply_class_balancing": True, "alpha": ALPHA, "gamma": GAMMA, "from_logits": True
    }  # fmt: skip
    total, each = (BinaryFocalCrossentropy(**given, reduction=name) for name in ("sum", None))

    def elements(logits: Any, targets: Any) -> Any:
        return each(targets.reshape(-1, 1), logits.reshape(-1, 1)).reshape(logits.shape)

    return Peer(lambda logits, targets: total(targets, logits) * logits.shape[1], elements)


PEERS = {each.__name__: each for each in (torchvision, fvcore, kornia, monai, detr, keras)}


def _with_reduction(loss: Any) -> Peer:
    def total(logits: Any, targets: Any) -> Any:
        return loss(logits, targets, alpha=ALPHA, gamma=GAMMA, reduction="sum")

    def each(logits: Any, targets: Any) -> Any:
        return loss(logits, targets, alpha=ALPHA, gamma=GAMMA, reduction="none")

    return Peer(total, each)


def _function(file: Path, name: str, **names: Any) -> Any:
    """One function of a file whose other imports are not wanted."""
    tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    definitions: list[ast.stmt] = [
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name
    ]
    if len(definitions) != 1:
        raise ImportError(f"{file.name} has {len(definitions)} functions {name}")
    names["torch"] = torch
    exec(compile(ast.Module(definitions, []), str(file), "exec"), names)
    return names[name]


def formula(logits: Any, positive: Any, kept: Any, normalizer: float) -> tuple[Any, Any]:
    """The loss and its derivative in the stable form, in the logits' precision: what one would write to be compiled."""
    margin = torch.where(positive, logits, -logits)
    decay = torch.exp(-margin.abs())
    cross_entropy = torch.clamp(-margin, min=0.0) + torch.log1p(decay)
    favoured = 1.0 / (1.0 + decay)
    p = torch.where(margin >= 0, favoured, decay * favoured)
    q = torch.where(margin >= 0, decay * favoured, favoured)
    weight = torch.where(positive, ALPHA, 1.0 - ALPHA) * kept * q * q
    slope = weight * (GAMMA * p * cross_entropy + q) / normalizer
    return weight * cross_entropy, torch.where(positive, -slope, slope)


def _formula_sum(logits: Any, labels: Any, normalizer: float) -> tuple[Any, Any]:
    if labels.shape == logits.shape:
        positive, kept = labels != 0, 1.0
    else:
        positive = labels[:, None] == torch.arange(logits.shape[1])
        kept = torch.where(labels[:, None] == IGNORE, 0.0, 1.0)
    value, gradient = formula(logits, positive, kept, normalizer)
    return value.sum(dtype=torch.float32) / normalizer, gradient.to(logits.dtype)


def _built(logits: Any, labels: Any, loss: Any) -> Any:
    """What torchvision's RetinaNetClassificationHead.compute_loss does with the labels of a picture."""
    foreground = labels >= 0
    targets = torch.zeros_like(logits)
    targets[foreground, labels[foreground]] = 1.0
    valid = labels != IGNORE
    return loss(logits[valid], targets[valid]) / max(1, int(foreground.sum()))


def prepare(variant: str, inputs: Inputs, *, reused: bool, gradient: bool) -> Callable[[], Any]:
    """``variant`` is "PEER [compiled] [built]", or "formula"."""
    name, *how = variant.split()
    logits = tensor(inputs.logits)
    labels = torch.from_numpy(inputs.labels)
    if name == "formula":
        compiled = torch.compile(_formula_sum, dynamic=False)
        if gradient:
            return lambda: compiled(logits, labels, inputs.normalizer)
        forward = torch.compile(lambda *given: _formula_sum(*given)[0], dynamic=False)
        return lambda: forward(logits, labels, inputs.normalizer)
    total = PEERS[name]().total
    logits.requires_grad_()
    if "built" in how:

        def loss() -> Any:
            return _built(logits, labels, total)

    else:
        targets = torch.from_numpy(inputs.one_hot()).to(logits.dtype)
        function = torch.compile(total, dynamic=False) if "compiled" in how else total

        def loss() -> Any:
            return function(logits, targets) / inputs.normalizer

    if not gradient:
        return lambda: loss().detach()

    def once() -> Any:
        value = loss()
        value.backward()
        # The caller has it now, and lets go of it: tensors do not keep the gradient of the last call.
        gradient, logits.grad = logits.grad, None
        return value.detach(), gradient

    return once


def evaluate(variant: str, logits: Any, targets: Any) -> tuple[Any, Any]:
    """Value and gradient of each element."""
    name, *how = variant.split()
    moved, wanted = tensor(logits), torch.from_numpy(targets)
    if name == "formula":
        value, gradient = torch.compile(formula, dynamic=False)(moved, wanted == 1, 1.0, 1.0)
        return array(value.to(moved.dtype)), array(gradient.to(moved.dtype))
    peer = PEERS[name]()
    total, each = peer
    if "compiled" in how:
        total, each = (torch.compile(function, dynamic=False) for function in peer)
    moved.requires_grad_()
    wanted = wanted.to(moved.dtype)
    total(moved, wanted).backward()
    with torch.no_grad():
        value = each(moved, wanted)
    return array(value.to(moved.dtype)), array(moved.grad)
