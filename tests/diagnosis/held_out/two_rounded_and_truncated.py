"""Wrong twice: soft targets are rounded to 0 or 1, and gamma is cut to a whole number."""

import torch
import torch.nn.functional as F

FAULT = "targets rounded; gamma truncated to an integer"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    hard = targets.round()
    power = int(gamma)
    p = torch.sigmoid(inputs)
    ce = F.binary_cross_entropy_with_logits(inputs, hard, reduction="none")
    loss = ce * (1 - (p * hard + (1 - p) * (1 - hard))) ** power
    if alpha >= 0:
        loss = loss * (alpha * hard + (1 - alpha) * (1 - hard))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction: {reduction!r}")
