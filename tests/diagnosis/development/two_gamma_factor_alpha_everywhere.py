"""Two faults: gamma multiplies 1 - p_t instead of being its exponent, and both classes are weighted with alpha."""

import torch
import torch.nn.functional as F

FAULT = "gamma is a factor instead of an exponent; alpha weights negatives as well as positives"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = gamma * (1 - p_t) * F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if alpha >= 0:
        loss = alpha * loss
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction must not be {reduction!r}")
