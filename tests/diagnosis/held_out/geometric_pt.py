"""Wrong for soft targets: p_t is taken back out of the cross entropy, exp(-CE), a geometric mean of p and 1 - p."""

import torch
import torch.nn.functional as F

FAULT = "p_t = exp(-CE): for soft targets not p*t + (1-p)*(1-t)"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p_t = torch.exp(-ce)
    loss = ce * (1 - p_t) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "mean":
        loss = loss.mean()
    elif reduction == "sum":
        loss = loss.sum()
    elif reduction != "none":
        raise ValueError(f"Invalid reduction: {reduction}")
    return loss
