"""The mean is the sum divided by the count, and in float16 the sum is infinite above 65504 though the mean is small."""

import torch
import torch.nn.functional as F

FAULT = "float16 mean overflows in its sum"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = (1 - p_t).pow(gamma) * F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    if reduction == "none":
        return loss
    total = loss.sum()
    if reduction == "sum":
        return total
    if reduction == "mean":
        return total / loss.numel() if loss.numel() else total * float("nan")
    raise ValueError(f"reduction {reduction!r} has not been written")
