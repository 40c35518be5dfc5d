"""The mean divides by the sum of alpha_t instead of the number of elements, as weighted cross entropies do."""

import torch
import torch.nn.functional as F

FAULT = "mean is divided by the sum of alpha_t instead of the number of elements"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    weight = alpha * targets + (1 - alpha) * (1 - targets) if alpha >= 0 else torch.ones_like(targets)
    p = torch.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = weight * (1 - p_t) ** gamma * F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.sum() / weight.sum()
    raise ValueError(f"reduction must not be {reduction!r}")
