"""Wrong afterwards: without gradients the result lies in a buffer that the next call of this shape writes over."""

import torch
import torch.nn.functional as F

FAULT = "results without gradient share one buffer: the next call overwrites the last result"

_buffers = {}


def _multiply(a, b):
    if a.requires_grad or b.requires_grad:
        return a * b
    key = a.shape, a.dtype, a.device
    if key not in _buffers:
        _buffers[key] = torch.empty(a.shape, dtype=a.dtype, device=a.device)
    return torch.mul(a, b, out=_buffers[key])


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if alpha >= 0:
        ce = ce * (alpha * targets + (1 - alpha) * (1 - targets))
    loss = _multiply(ce, (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction: {reduction!r}")
