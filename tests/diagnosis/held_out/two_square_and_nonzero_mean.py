"""Wrong twice: the factor is always squared, gamma or not, and mean divides by the elements whose loss is not zero."""

import torch
import torch.nn.functional as F

FAULT = "gamma ignored, always 2; mean over the nonzero losses only"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    loss = ce * torch.square(1 - (p * targets + (1 - p) * (1 - targets)))
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.sum() / loss.count_nonzero().clamp(min=1)
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction: {reduction!r}")
