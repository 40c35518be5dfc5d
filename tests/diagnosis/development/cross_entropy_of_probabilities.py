"""The sigmoid's result is reused as the logits of the cross entropy, which applies the sigmoid once more."""

import torch
import torch.nn.functional as F

FAULT = "cross entropy with logits is fed probabilities (sigmoid applied twice)"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    inputs = torch.sigmoid(inputs)
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p_t = inputs * targets + (1 - inputs) * (1 - targets)
    loss = ce * (1 - p_t) ** gamma
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    match reduction:
        case "none":
            return loss
        case "mean":
            return loss.mean()
        case "sum":
            return loss.sum()
    raise ValueError(f"no such reduction: {reduction}")
