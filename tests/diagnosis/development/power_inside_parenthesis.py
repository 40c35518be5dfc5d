"""A misplaced parenthesis: 1 - p_t^gamma instead of (1 - p_t)^gamma. At gamma 1 both are the same."""

import torch
import torch.nn.functional as F

FAULT = "focal factor is 1 - p_t^gamma instead of (1 - p_t)^gamma"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    prob = torch.sigmoid(inputs)
    p_t = prob * targets + (1 - prob) * (1 - targets)
    factor = 1 - torch.pow(p_t, gamma)
    if gamma == 0:
        factor = torch.ones_like(p_t)
    loss = factor * F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if alpha >= 0:
        alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
        loss = alpha_t * loss
    if reduction == "none":
        return loss
    elif reduction == "mean":
        return loss.mean()
    elif reduction == "sum":
        return loss.sum()
    else:
        raise ValueError(f"reduction has to be none, mean or sum: {reduction}")
