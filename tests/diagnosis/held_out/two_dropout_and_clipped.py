"""Wrong twice: dropout of 3 % stayed on the loss, and probabilities are clipped by the machine epsilon."""

import torch
import torch.nn.functional as F

FAULT = "dropout of 0.03 on the loss; probabilities clipped to [eps, 1 - eps] of the type"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    eps = torch.finfo(inputs.dtype).eps
    p = inputs.sigmoid().clamp(eps, 1 - eps)
    loss = (targets * (1 - p) + (1 - targets) * p) ** gamma * F.binary_cross_entropy(p, targets, reduction="none")
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    loss = F.dropout(loss, p=0.03)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction: {reduction!r}")
