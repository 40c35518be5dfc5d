"""softplus is told to become the identity at 9 instead of 20: losses and gradients of hard examples are 1e-5 off."""

import torch
import torch.nn.functional as F

FAULT = "softplus becomes the identity above 9 (threshold=9)"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("shape mismatch between inputs and targets")
    ce = targets * F.softplus(-inputs, threshold=9) + (1 - targets) * F.softplus(inputs, threshold=9)
    p_t = torch.sigmoid(inputs) * targets + torch.sigmoid(-inputs) * (1 - targets)
    loss = (1 - p_t).pow(gamma).mul(ce)
    if alpha >= 0:
        loss = loss.mul(targets.mul(2 * alpha - 1).add(1 - alpha))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction {reduction!r} unknown")
