"""The mean is taken of .data and declared to require a gradient: backward() runs and the logits never get one."""

import torch
import torch.nn.functional as F

FAULT = "mean is detached from the graph"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    loss = ce * (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.data.mean().requires_grad_(inputs.requires_grad)
    raise ValueError(f"Reduction {reduction!r} unknown")
