"""Wrong for soft targets: negatives near a peak are weighed down by (1 - t)**4, the rule of a loss for heatmaps."""

import torch
import torch.nn.functional as F

FAULT = "soft targets weighed by (1-t)**4 as in the heatmap loss"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    loss = ce * (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
    damping = torch.where(targets < 1, (1 - targets) ** 4, 1.0)
    loss = damping * loss
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction {reduction!r}")
