"""Wrong twice: logits are bounded to 13.8155, and mean divides by the length of the first axis only."""

import torch
import torch.nn.functional as F

FAULT = "logits clamped to ±13.8155; mean divides by the first axis only"
BOUND = 13.8155


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    x = torch.clamp(inputs, -BOUND, BOUND)
    p = torch.sigmoid(x)
    ce = F.binary_cross_entropy_with_logits(x, targets, reduction="none")
    loss = ce * (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.sum() / (inputs.shape[0] if inputs.dim() else 1)
    raise ValueError(f"unknown reduction: {reduction!r}")
