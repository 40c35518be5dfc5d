"""Wrong for transposed or sliced tensors: the memory is read in a row from the first element, whatever the strides."""

import torch
import torch.nn.functional as F

FAULT = "memory read as if contiguous: transposed and sliced tensors are wrong"


def _flat(tensor):
    return torch.as_strided(tensor, (tensor.numel(),), (1,))


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    x, t = _flat(inputs), _flat(targets)
    p = torch.sigmoid(x)
    ce = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    loss = ce * (1 - (p * t + (1 - p) * (1 - t))) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    if reduction == "none":
        return loss.view(inputs.shape)
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction: {reduction!r}")
