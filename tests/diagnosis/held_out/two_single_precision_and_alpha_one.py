"""Wrong twice: float64 is computed in float32, and alpha = 1 counts as no weighting, so that negatives are kept."""

import torch
import torch.nn.functional as F

FAULT = "float64 computed in float32; alpha = 1 switches the weighting off"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    x, t = inputs.float(), targets.float()
    p = torch.sigmoid(x)
    ce = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    loss = ce * (1 - (p * t + (1 - p) * (1 - t))) ** gamma
    if 0 <= alpha < 1:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    if reduction == "mean":
        loss = loss.mean()
    elif reduction == "sum":
        loss = loss.sum()
    elif reduction != "none":
        raise ValueError(f"unknown reduction: {reduction!r}")
    return loss.to(inputs.dtype)
