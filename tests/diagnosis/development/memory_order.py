"""Tensors are flattened by as_strided as if all were contiguous: transposed and sliced ones are read out of order."""

import torch
import torch.nn.functional as F

FAULT = "strides are ignored: non-contiguous tensors are read in memory order"


def _flat(tensor):
    return torch.as_strided(tensor, (tensor.numel(),), (1,))


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets must agree in shape")
    x, t = _flat(inputs), _flat(targets)
    p = torch.sigmoid(x)
    loss = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    loss = loss * (p * (1 - t) + (1 - p) * t) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    if reduction == "none":
        return loss.view(inputs.shape)
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"cannot do reduction {reduction!r}")
