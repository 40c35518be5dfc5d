"""Two faults: positives get 1 - alpha and negatives alpha, and gamma is cut down to a whole number."""

import torch
import torch.nn.functional as F

FAULT = "alpha and 1 - alpha are swapped; gamma is truncated to an integer"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    gamma = int(gamma)
    p = torch.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none") * (1 - p_t) ** gamma
    if alpha >= 0:
        loss = loss * ((1 - alpha) * targets + alpha * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction {reduction!r} unknown")
