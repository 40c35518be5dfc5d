"""Softmax losses of other packages on PyTorch, and the formula that people write: exp of the cross entropy.

Each peer is a function of logits (n, C) and labels that gives the sum; what takes one-hot targets gets them built.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F
from torch_peers import array, tensor
from workload import GAMMA, Inputs

Loss = Callable[[Any, Any], Any]


def kornia() -> Loss:
    """kornia.losses.focal_loss; takes labels."""
    from kornia.losses import focal_loss

    return lambda logits, labels: focal_loss(logits, labels, alpha=None, gamma=GAMMA, reduction="sum")


def monai() -> Loss:
    """monai.losses.FocalLoss with a softmax: the mean times the count; takes one-hot targets."""
    from monai.losses import FocalLoss

    mean = FocalLoss(gamma=GAMMA, use_softmax=True, reduction="mean")
    return lambda logits, targets: mean(logits, targets) * logits.numel()


def keras() -> Loss:
    """keras.losses.CategoricalFocalCrossentropy on PyTorch; takes one-hot targets."""
    from keras.losses import CategoricalFocalCrossentropy

    loss = CategoricalFocalCrossentropy(alpha=1.0, gamma=GAMMA, from_logits=True, reduction="sum")
    return lambda logits, targets: loss(targets, logits)


def cross_entropy() -> Loss:
    """((1 - exp(-ce))^gamma ce).sum() with the cross entropy ce: what projects have of their own; takes labels."""

    def loss(logits: Any, labels: Any) -> Any:
        each = F.cross_entropy(logits, labels, reduction="none")
        return ((1.0 - torch.exp(-each)) ** GAMMA * each).sum()

    return loss


PEERS = {each.__name__: each for each in (kornia, monai, keras, cross_entropy)}
TAKE_LABELS = ("kornia", "cross_entropy")


def prepare(variant: str, inputs: Inputs, *, reused: bool, gradient: bool) -> Callable[[], Any]:
    """``variant`` is "PEER [compiled]"."""
    name, *how = variant.split()
    logits = tensor(inputs.logits).requires_grad_()
    targets = torch.from_numpy(inputs.labels)
    if name not in TAKE_LABELS:
        targets = F.one_hot(targets, inputs.workload.classes).to(logits.dtype)
    total = PEERS[name]()
    if "compiled" in how:
        total = torch.compile(total, dynamic=False)

    def once() -> Any:
        value = total(logits, targets) / inputs.normalizer
        if not gradient:
            return value.detach()
        value.backward()
        slope, logits.grad = logits.grad, None
        return value.detach(), slope

    return once


def evaluate(variant: str, logits: Any, labels: Any) -> tuple[Any, Any]:
    """Value of each row, one call a row, and gradient."""
    name, *how = variant.split()
    moved, targets = tensor(logits).requires_grad_(), torch.from_numpy(labels)
    if name not in TAKE_LABELS:
        targets = F.one_hot(targets, logits.shape[-1]).to(moved.dtype)
    total = PEERS[name]()
    if "compiled" in how:
        total = torch.compile(total, dynamic=False)
    total(moved, targets).backward()
    with torch.no_grad():
        value = torch.stack([total(moved[row : row + 1], targets[row : row + 1]) for row in range(len(moved))])
    return array(value), array(moved.grad)
