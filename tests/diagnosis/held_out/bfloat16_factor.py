"""Wrong by up to some tenths of a percent: to save memory the modulating factor is kept in bfloat16."""

import torch
import torch.nn.functional as F

FAULT = "the modulating factor goes through bfloat16"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    factor = (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
    factor = factor.bfloat16()
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none") * factor
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction: {reduction!r}")
