"""nan_to_num on the loss turns NaN logits into a loss of 0, so that a diverged network looks trained."""

import torch
import torch.nn.functional as F

FAULT = "NaN logits give loss 0 (nan_to_num on the result)"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p = torch.sigmoid(inputs)
    u = (1 - p) * targets + p * (1 - targets)
    loss = u**gamma * ce
    if alpha >= 0:
        loss = loss * ((2 * alpha - 1) * targets + (1 - alpha))
    loss = torch.nan_to_num(loss, nan=0.0, posinf=float("inf"))
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"reduction={reduction}")
