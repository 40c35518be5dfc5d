"""Two faults: logits are clamped to ±27.5, and any word that is not mean or sum silently means none."""

import torch
import torch.nn.functional as F

FAULT = "logits are clamped to 27.5 in size; an unknown reduction is silently ignored"

LIMIT = 27.5


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    inputs = torch.clamp(inputs, -LIMIT, LIMIT)
    p = torch.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none") * (1 - p_t) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "mean":
        loss = loss.mean()
    elif reduction == "sum":
        loss = loss.sum()
    return loss
