"""The cross entropy is called with its default reduction, so that every focal factor multiplies the same average."""

import torch
from torch.nn import functional as F

FAULT = "cross entropy is averaged over the batch before the focal factor is applied"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    probs = torch.sigmoid(inputs)
    p_t = probs * targets + (1 - probs) * (1 - targets)
    bce = F.binary_cross_entropy_with_logits(inputs, targets)
    focal = (1 - p_t) ** gamma * bce
    if alpha >= 0:
        focal = focal * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "mean":
        return focal.mean()
    elif reduction == "sum":
        return focal.sum()
    elif reduction != "none":
        raise ValueError("reduction must be none, mean or sum, not " + repr(reduction))
    return focal
